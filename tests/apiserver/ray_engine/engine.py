"""The whole stand-in, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import copy
import logging
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar

from chex_operator.kube.client import Client
from chex_operator.kube.clock import SystemClock
from chex_operator.kube.connection import Connection
from chex_operator.kube.errors import ApiError, Conflict, NotFound
from chex_operator.kube.informer import Informer
from chex_operator.kube.queue import Backoff, QueueClosed, WorkQueue
from chex_operator.kube.resource import BATCH_JOBS, PODS, RAYCLUSTERS, RAYJOBS, Object, Resource
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient
from tests.apiserver.ray_engine.api import Api
from tests.apiserver.ray_engine.ends import End
from tests.apiserver.ray_engine.heads import Heads
from tests.apiserver.ray_engine.kubelet import Kubelet
from tests.apiserver.ray_engine.programs import Programs
from tests.apiserver.ray_engine.ray_clusters import RayClusters
from tests.apiserver.ray_engine.ray_jobs import RayJobs
from tests.apiserver.ray_engine.script import Run, Script
from tests.apiserver.ray_engine.submitters import Submitters
from tests.apiserver.ray_engine.timings import Timings
from tests.patience import PATIENCE_SECONDS

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Key = tuple[Resource, str, str]
WORKERS = 16


class Engine:
    """Plays KubeRay and the nodes for every namespace. Its public methods may be called from any thread.

    Attributes:
        script: What happens to which attempt.
        faults: What went wrong in the engine or in a script: a test that ends well has none.
        refusals: What the API server refused it and its drivers, such as a Pod that admission turned away.
    """

    def __init__(self, server: ApiClient, script: Script, timings: Timings) -> None:
        self.script, self._timings, self._server = script, timings, server
        self.faults: list[Exception] = []
        self.refusals: list[ApiError] = []
        self._kuberay_runs = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: Future[None] = Future()
        self._over: asyncio.Event | None = None

    @property
    def started(self) -> list[Run]:
        """Every start of a driver, in order."""
        return list(self._programs.started)

    def kuberay_down(self) -> None:
        """KubeRay stops, as for an upgrade; Pods, and what runs in them, go on."""
        self._kuberay_runs = False

    def kuberay_up(self) -> None:
        """KubeRay goes on where it was."""
        self._kuberay_runs = True

    def end_pods(self, role: str, end: End, *, attempt: str) -> None:
        """End the containers of an attempt's Pods of this role: `head`, `worker`, `submitter`, `program`."""

        async def end_them() -> None:
            for pod in self._kubelet.pods():
                run = Run.of(pod)
                if run.attempt == attempt:
                    self._kubelet.end(run, role, end)

        self.call(end_them())

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine where the engine lives."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def play(self) -> None:
        """Play, in this thread, until `stop`."""
        try:
            asyncio.run(self._play())
        except Exception as fault:
            if self._ready.done():
                raise
            self._ready.set_exception(fault)

    async def _play(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(
                Api(self._server.url, str(self._server.certificate), ADMIN_TOKEN)
            )
            tls = ssl.create_default_context(cafile=str(self._server.certificate))
            client = await stack.enter_async_context(Client(Connection(self._server.url, tls, _Admin())))
            self._assemble(api, client)
            tasks = [
                asyncio.create_task(self._guarded(informer.run())) for informer in self._informers.values()
            ]
            for informer in self._informers.values():
                await informer.wait_synced()
            tasks += [asyncio.create_task(self._guarded(self._work())) for _ in range(WORKERS)]
            self._ready.set_result(None)
            await self._over.wait()
            await self._queue.shutdown()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._kubelet.close()

    def wait_ready(self) -> None:
        """Return when it plays. Raises what kept it from playing."""
        self._ready.result(PATIENCE_SECONDS)

    def stop(self) -> None:
        """Let `play` return."""
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)

    def _assemble(self, api: Api, client: Client) -> None:
        self._heads = Heads(self._timings.submit)
        self._programs = Programs(api, self._held, self._heads, self.script, self._timings, self._report)
        self._kubelet = Kubelet(api, self.script, self._timings, self._programs, self._report)
        self._ray_jobs = RayJobs(api, self._held, self._heads, self._timings)
        self._ray_clusters = RayClusters(api, self._held)
        self._submitters = Submitters(api, self._held)
        self._queue: WorkQueue[Key] = WorkQueue(SystemClock(), Backoff(self._timings.poll, 2.0))
        self._informers: dict[Resource, Informer[Object]] = {}
        for resource in (RAYJOBS, RAYCLUSTERS, BATCH_JOBS, PODS):
            informer = Informer(client, resource, project=lambda item: item)
            informer.add_handler(self._handler(resource))
            self._informers[resource] = informer

    def _handler(self, resource: Resource) -> Callable[[tuple[str, str], Object | None, Object | None], None]:
        def heard(key: tuple[str, str], old: Object | None, new: Object | None) -> None:
            if resource is PODS:
                self._kubelet.heard(old, new)
            else:
                self._queue.add((resource, *key))
            for owner in _owners(new or old or {}):
                self._queue.add((owner[0], key[0], owner[1]))

        return heard

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            try:
                if await self._step(*key):
                    self._queue.add_after(key, self._timings.poll)
                self._queue.forget(key)
            except (Conflict, NotFound):
                self._queue.add_after(key, self._timings.poll)
            except ApiError as refused:
                self._report(refused)
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)

    async def _step(self, resource: Resource, namespace: str, name: str) -> bool:
        """Take one object further; whether to look again soon."""
        held = self._held(resource, namespace, name)
        if held is None:
            return False
        item = copy.deepcopy(held)  # what is held is everybody's
        if resource is BATCH_JOBS:
            await self._submitters.step(item)
            return False
        if not self._kuberay_runs:
            return True
        if resource is RAYCLUSTERS:
            await self._ray_clusters.step(item)
            return False
        return await self._ray_jobs.step(item)

    def _held(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self._informers[resource].get(namespace, name)

    def _report(self, fault: Exception) -> None:
        """Keep what went wrong: what the API server refuses is part of the play, anything else is a fault of ours."""
        if isinstance(fault, ApiError):
            self.refusals.append(fault)
        else:
            log.error("the engine has a fault", exc_info=fault)
            self.faults.append(fault)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as fault:
            self._report(fault)


class _Admin:
    """The tests' token, for `Connection`."""

    async def authorization(self) -> str | None:
        return f"Bearer {ADMIN_TOKEN}"

    async def renew(self, refused: str | None) -> bool:
        return False


def _owners(item: Object) -> Iterator[tuple[Resource, str]]:
    """The RayJob, RayCluster or Job that must hear of what became of this object."""
    kinds = {"RayJob": RAYJOBS, "RayCluster": RAYCLUSTERS, "Job": BATCH_JOBS}
    for reference in item.get("metadata", {}).get("ownerReferences", []):
        if reference["kind"] in kinds:
            yield kinds[reference["kind"]], reference["name"]


@contextmanager
def ray_engine(server: ApiClient, script: Script, timings: Timings | None = None) -> Iterator[Engine]:
    """An engine at this API server, gone when the block ends. One at a time: two would both make Pods."""
    engine = Engine(server, script, timings or Timings())
    thread = threading.Thread(target=engine.play, name="ray-engine", daemon=True)
    thread.start()
    try:
        engine.wait_ready()
        yield engine
    finally:
        engine.stop()
        thread.join(PATIENCE_SECONDS)
