"""How long it takes from what a driver tells to the status of its job."""

import asyncio
import time
from collections import deque
from contextlib import aclosing

import aiohttp

from chex_api.attempt import PROGRESS
from chex_operator.kube.client import Client
from chex_operator.kube.resource import CONFIGMAPS, JOBS, Object
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.kube.access import client_at
from tests.benchmarks.scale.bare_client import session
from tests.benchmarks.scale.stored import DONE_AT_FIRST, LIVE_STAGE, NAMESPACE, Stored, progress_text

MERGE_PATCH = "application/merge-patch+json"
FAREWELL_SECONDS = 30.0
"""For the last statuses to be told."""


class _Awaited:
    """Percentages that were told by drivers and not yet by the operator, by job."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[tuple[int, float]]] = {}
        self.seconds: list[float] = []

    def send(self, job: str, percent: int) -> None:
        self._sent.setdefault(job, deque()).append((percent, time.perf_counter()))

    def see(self, job: Object) -> None:
        sent = self._sent.get(job["metadata"]["name"])
        stages = job.get("status", {}).get("stages", [])
        percent = next((each.get("progressPercent", 0) for each in stages if each["name"] == LIVE_STAGE), 0)
        while sent and sent[0][0] <= percent:
            self.seconds.append(time.perf_counter() - sent.popleft()[1])

    @property
    def missing(self) -> int:
        return sum(map(len, self._sent.values()))


async def seconds_to_status(server: ApiClient, stored: Stored, rate: float, seconds: float) -> list[float]:
    """Have drivers of live attempts tell one percent more, in turn, at an even rate; seconds from each to its status."""
    awaited = _Awaited()
    async with client_at(server) as client, session(server) as drivers:
        watching = asyncio.create_task(_watch(client, awaited))
        await _tell(drivers, server.url, stored, awaited, rate, seconds)
        deadline = time.monotonic() + FAREWELL_SECONDS
        while awaited.missing and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert not awaited.missing, f"{awaited.missing} statuses were never told"
    return awaited.seconds


async def _tell(
    drivers: aiohttp.ClientSession,
    url: str,
    stored: Stored,
    awaited: _Awaited,
    rate: float,
    seconds: float,
) -> None:
    jobs = list(stored.live_notes)
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            job = jobs[number % len(jobs)]
            stored.done[job] = done = stored.done.get(job, DONE_AT_FIRST) + 1
            path = CONFIGMAPS.path(NAMESPACE, stored.live_notes[job])
            awaited.send(job, done)
            group.create_task(_progress(drivers, url + path, done))


async def _progress(drivers: aiohttp.ClientSession, url: str, done: int) -> None:
    """As a driver does it: whatever else is in the ConfigMap stays."""
    change = {"data": {PROGRESS: progress_text(done)}}
    async with drivers.patch(url, json=change, headers={"Content-Type": MERGE_PATCH}) as answer:
        assert answer.status == 200, await answer.text()


async def _watch(client: Client, awaited: _Awaited) -> None:
    page = await client.list_page(JOBS, NAMESPACE, limit=1)
    events = client.watch(JOBS, NAMESPACE, resource_version=page.resource_version, timeout_seconds=600)
    async with aclosing(events):
        async for event in events:
            if event.type != "BOOKMARK":
                awaited.see(event.object)
