"""The Ray jobs that each head holds. A head that is lost takes all of them with it: nothing of Ray is stored elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chex_operator.kube.resource import Object
from tests.apiserver.ray_engine.mounts import Given

FINAL = ("SUCCEEDED", "FAILED", "STOPPED")


class HeadLost(Exception):
    """There is no head, or not the one there was."""


@dataclass
class RayJobRun:
    """One run of an entry point."""

    status: str = "PENDING"
    message: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class _Head:
    pod: Object
    given: Given
    runs: dict[str, RayJobRun] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    lost: asyncio.Event = field(default_factory=asyncio.Event)


Cluster = tuple[str, str]
"""Namespace and name of a RayCluster."""


class Heads:
    """Heads that can be reached. For one event loop."""

    def __init__(self, submit_seconds: float) -> None:
        self._submit_seconds = submit_seconds
        self._heads: dict[Cluster, _Head] = {}
        self._submissions: dict[tuple[Cluster, str], int] = {}

    @contextmanager
    def up(self, cluster: Cluster, pod: Object, given: Given) -> Iterator[None]:
        """The head's container runs as long as the block lasts; it holds no job at first."""
        head = self._heads[cluster] = _Head(pod, given)
        try:
            yield
        finally:
            if self._heads.get(cluster) is head:
                del self._heads[cluster]
            head.lost.set()
            for task in head.tasks:
                task.cancel()

    def reachable(self, cluster: Cluster) -> bool:
        """Whether the dashboard would answer."""
        return cluster in self._heads

    def pod(self, cluster: Cluster) -> tuple[Object, Given]:
        """The Pod that is the head, and what its container was given."""
        head = self._heads[cluster]
        return head.pod, head.given

    def run(self, cluster: Cluster, submission: str) -> RayJobRun | None:
        """What the dashboard tells of a job. Raises `HeadLost`."""
        head = self._heads.get(cluster)
        if head is None:
            raise HeadLost
        return head.runs.get(submission)

    def nth(self, cluster: Cluster, submission: str) -> int:
        """How often this job has been started, lost heads included."""
        return self._submissions.get((cluster, submission), 0)

    def submit(self, cluster: Cluster, submission: str, program: Callable[[], Awaitable[int]]) -> None:
        """Start a job on the head, which does not know of it yet."""
        head = self._heads[cluster]
        run = head.runs[submission] = RayJobRun()
        self._submissions[cluster, submission] = self.nth(cluster, submission) + 1
        task = asyncio.ensure_future(self._play(run, program))
        head.tasks.add(task)

    async def _play(self, run: RayJobRun, program: Callable[[], Awaitable[int]]) -> None:
        await asyncio.sleep(self._submit_seconds)
        run.status = "RUNNING"
        code = await program()
        run.status = "SUCCEEDED" if code == 0 else "FAILED"
        run.message = (
            "" if code == 0 else f"Job entrypoint command failed with exit code {code}, last available logs"
        )
        run.ended.set()

    async def follow(self, cluster: Cluster, submission: str) -> None:
        """Return when the job has ended. Raises `HeadLost`."""
        head = self._heads.get(cluster)
        if head is None or submission not in head.runs:
            raise HeadLost
        ended = asyncio.ensure_future(head.runs[submission].ended.wait())
        lost = asyncio.ensure_future(head.lost.wait())
        try:
            await asyncio.wait({ended, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            lost.cancel()
        if head.lost.is_set():
            raise HeadLost
