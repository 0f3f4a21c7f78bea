"""What the containers of Pods do: heads and workers of Ray wait, submitters submit, drivers play their part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chex_api.stage import StageResult
from chex_operator.kube.resource import RAYJOBS, Object
from tests.apiserver.ray_engine.api import Api, Held
from tests.apiserver.ray_engine.driver import Driver, Pods
from tests.apiserver.ray_engine.heads import HeadLost, Heads
from tests.apiserver.ray_engine.mounts import Given, Tokens
from tests.apiserver.ray_engine.objects import CLUSTER_LABEL, RAY_JOB_LABEL
from tests.apiserver.ray_engine.script import Run, Script, role_of
from tests.apiserver.ray_engine.timings import Timings


class Programs:
    """The program of every container. For one event loop.

    Attributes:
        started: Every start of a driver, in order.
        artifacts: What scripted drivers have finished, by namespace and URI of the manifest: each has its own storage.
    """

    def __init__(
        self,
        api: Api,
        held: Held,
        heads: Heads,
        script: Script,
        timings: Timings,
        report: Callable[[Exception], None],
    ) -> None:
        self.started: list[Run] = []
        self.artifacts: dict[tuple[str, str], StageResult] = {}
        self._api, self._held, self._heads = api, held, heads
        self._script, self._timings, self._report = script, timings, report
        self._tokens = Tokens(api)

    async def __call__(self, pods: Pods, pod: Object, given: Given) -> int:
        """Do what the container of this Pod does; its exit code."""
        match role_of(pod):
            case "submitter":
                return await self._submit(pods, pod, given)
            case "head":
                return await self._head(pod, given)
            case "worker":
                return await asyncio.Future[int]()  # until it is told to end
            case _:
                return await self._drive(pods, pod, given, 1, None)

    async def _head(self, pod: Object, given: Given) -> int:
        cluster = (pod["metadata"]["namespace"], pod["metadata"]["labels"][CLUSTER_LABEL])
        with self._heads.up(cluster, pod, given):
            return await asyncio.Future[int]()

    async def _submit(self, pods: Pods, pod: Object, given: Given) -> int:
        """`ray job submit`, then its logs: fails when the head is lost, not when the entry point fails."""
        address = given.environment["RAY_DASHBOARD_ADDRESS"]
        submission = given.environment["RAY_JOB_SUBMISSION_ID"]
        service, namespace, *_ = address.split(".")
        cluster = (namespace, service.removesuffix("-head-svc"))
        while not self._heads.reachable(cluster):
            await asyncio.sleep(self._timings.poll)
        if self._heads.run(cluster, submission) is None:
            on, its = self._heads.pod(cluster)
            nth = self._heads.nth(cluster, submission) + 1
            ray_job = self._held(RAYJOBS, namespace, pod["metadata"]["labels"][RAY_JOB_LABEL])
            self._heads.submit(cluster, submission, lambda: self._drive(pods, on, its, nth, ray_job))
        try:
            await self._heads.follow(cluster, submission)
        except HeadLost:
            return 1
        return 0

    async def _drive(self, pods: Pods, pod: Object, given: Given, nth: int, ray_job: Object | None) -> int:
        run = Run.of(pod)
        self.started.append(run)
        try:
            driver = Driver(
                run,
                nth,
                pod,
                ray_job,
                given,
                await self._tokens.of(pod),
                self.artifacts,
                self._api,
                pods,
                self._timings,
                self._report,
            )
            return await self._script.part(run).run(driver)
        except Exception as fault:
            self._report(fault)
            return 1
