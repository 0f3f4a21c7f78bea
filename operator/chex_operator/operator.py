"""The process: what is started, in which order, and how it ends."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from chex_operator.controller.caches import Caches
from chex_operator.controller.orphans import sweep_regularly
from chex_operator.controller.reconciler import Reconciler
from chex_operator.kube.client import Client
from chex_operator.kube.clock import Clock, SystemClock
from chex_operator.kube.connection import Connection
from chex_operator.kube.election import Election
from chex_operator.kube.endpoints import serve_endpoints
from chex_operator.kube.events import EventRecorder
from chex_operator.kube.informer import Key
from chex_operator.kube.metrics import Metrics
from chex_operator.kube.queue import WorkQueue
from chex_operator.kube.stop import stop_gracefully
from chex_operator.kube.worker import run_workers
from chex_operator.options import Options

RESYNC_SECONDS = 1800.0
"""Every job is looked at this often, whatever its events said."""

LEASE_CONNECTIONS = 2
LAST_EVENTS_SECONDS = 3.0
"""After `runtime.stop.StopBounds`, whose sum leaves as much of the Pod's grace period."""

logger = logging.getLogger(__name__)


class Ended(Exception):
    """Something without which the operator cannot go on has ended."""


async def operate(
    options: Options, connection: Connection, stop: asyncio.Event, clock: Clock | None = None
) -> None:
    """Follow the API server at once, work once elected, until `stop` is set.

    Raises:
        Ended: leadership was lost, or a part of this process failed. The process must exit, and be started again.
    """
    clock = clock or SystemClock()
    metrics = Metrics(clock)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(connection, observer=metrics.call_ended, clock=clock))
        # Of its own: renewals must not wait behind the calls of passes, which a slow webhook may hold up for seconds each.
        lease_client = await stack.enter_async_context(
            Client(connection, observer=metrics.call_ended, clock=clock, connections=LEASE_CONNECTIONS)
        )
        queue: WorkQueue[Key] = WorkQueue(clock)
        election = Election(
            lease_client,
            clock,
            namespace=options.lease_namespace,
            name=options.lease_name,
            identity=options.identity,
        )

        def enqueue(key: Key) -> None:
            """A replica that waits to lead has no use for keys: jobs come and go, and nobody takes theirs."""
            if election.elected.is_set():
                queue.add(key)

        caches = Caches(client, clock, options.namespace, enqueue)
        recorder = EventRecorder(client, clock, metrics, instance=options.identity)
        reconciler = Reconciler(caches, client, clock, recorder, metrics, lambda: election.leads)
        metrics.measure_queue(queue)
        metrics.measure_leadership(lambda: election.leads)
        port = await stack.enter_async_context(serve_endpoints(options.port, caches.missing, metrics.page))
        logger.info("serving /healthz, /readyz and /metrics on port %d", port)
        parts = _Parts(stop)
        stack.push_async_callback(parts.cancel)
        for name, informer in caches.following().items():
            parts.start(informer.run(), f"informer of {name}")
        events = parts.start(recorder.run(), "events")
        for informer in caches.following().values():
            await parts.unless_ended(informer.wait_synced())
        logger.info("all caches are filled: %d jobs", len(caches.jobs))
        renewals = parts.start(election.run(), "leader election")
        await parts.unless_ended(election.elected.wait())
        if stop.is_set():
            return
        caches.enqueue_all()
        workers = parts.start(
            run_workers(queue, reconciler.reconcile, options.concurrency, metrics, clock), "workers"
        )
        parts.start(sweep_regularly(caches, client, clock, options.namespace), "search for orphans")
        parts.start(_resync(caches, clock), "resync")
        try:
            await parts.unless_ended(election.lost.wait())
        except Ended:
            workers.cancel()
            raise
        if not stop.is_set():
            workers.cancel()
            raise Ended("leadership is lost")
        renewals_end = asyncio.gather(renewals, return_exceptions=True)

        async def release() -> None:
            renewals.cancel()
            await renewals_end
            await election.release()

        await stop_gracefully(queue, workers, release, clock)
        recorder.stop()
        await asyncio.wait({events}, timeout=LAST_EVENTS_SECONDS)


async def _resync(caches: Caches, clock: Clock) -> None:
    while True:
        await clock.sleep(RESYNC_SECONDS)
        caches.enqueue_all()


class _Parts:
    """Tasks that must go on for as long as the process does."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        return task

    async def unless_ended(self, wait: Coroutine[Any, Any, Any]) -> None:
        """Return when the wait is over or a stop is asked for. Raises `Ended` when a part ends before."""
        waiting = asyncio.create_task(wait)
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({waiting, stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done() or stopping.done():
                return
            ended = next(task for task in self._tasks if task.done())
            cause = None if ended.cancelled() else ended.exception()
            raise Ended(f"{ended.get_name()} ended: {cause!r}") from cause
        finally:
            waiting.cancel()
            stopping.cancel()

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
