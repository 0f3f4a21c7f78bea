"""Workers that take keys from a queue, and decide what becomes of a key whose pass failed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol

from chex_operator.kube.clock import Clock
from chex_operator.kube.errors import ApiError, Conflict
from chex_operator.kube.queue import Key, QueueClosed, WorkQueue

logger = logging.getLogger(__name__)

PassResult = Literal["ok", "requeued", "conflict", "error", "cancelled"]
"""How a pass ended."""


@dataclass(frozen=True)
class Requeue:
    """Have the key worked on again, at the latest after that many seconds."""

    after_seconds: float


class PassObserver(Protocol):
    """Called after every pass."""

    def pass_ended(self, result: PassResult, seconds: float) -> None:
        """A pass took that long. Must neither wait nor raise."""
        ...


Reconcile = Callable[[Key], Awaitable[Requeue | None]]
"""One pass over a key; what it returns says when the next is due if nothing happens."""


async def run_workers(
    queue: WorkQueue[Key],
    reconcile: Reconcile[Key],
    concurrency: int,
    observer: PassObserver,
    clock: Clock,
) -> None:
    """Work on the queue's keys, on so many at once, until the queue is shut down.

    A pass that raises is logged (with its traceback, unless the API server has caused it), and its key comes again after its backoff. `Conflict` is daily business: its key comes
    again at once, after a second one in a row after its backoff, since the cache that misled the pass may still be old.
    Cancelling stops all passes where they stand; their keys are back in the queue.
    """
    workers = _Workers(queue, reconcile, observer, clock)
    async with asyncio.TaskGroup() as group:
        for number in range(concurrency):
            group.create_task(workers.work(), name=f"worker-{number}")


class _Workers(Generic[Key]):
    def __init__(
        self, queue: WorkQueue[Key], reconcile: Reconcile[Key], observer: PassObserver, clock: Clock
    ) -> None:
        self._queue, self._reconcile, self._observer, self._clock = queue, reconcile, observer, clock
        self._in_conflict: set[Key] = set()

    async def work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            started = self._clock.monotonic()
            result: PassResult = "cancelled"
            try:
                result = await self._one_pass(key)
            finally:
                if result == "cancelled":
                    self._queue.add(key)
                self._queue.done(key)
                self._observer.pass_ended(result, self._clock.monotonic() - started)

    async def _one_pass(self, key: Key) -> PassResult:
        try:
            requeue = await self._reconcile(key)
        except Conflict as error:
            self._after_conflict(key, error)
            return "conflict"
        except ApiError as error:
            logger.warning("pass over %s failed; it is tried again: %s", key, error)
            self._queue.add_rate_limited(key)
            return "error"
        except Exception:
            logger.exception("pass over %s failed; it is tried again", key)
            self._queue.add_rate_limited(key)
            return "error"
        self._in_conflict.discard(key)
        self._queue.forget(key)
        if requeue is None:
            return "ok"
        self._queue.add_after(key, requeue.after_seconds)
        return "requeued"

    def _after_conflict(self, key: Key, error: Conflict) -> None:
        logger.debug("pass over %s met a newer object; it is repeated: %s", key, error)
        if key in self._in_conflict:
            self._queue.add_rate_limited(key)
        else:
            self._in_conflict.add(key)
            self._queue.add(key)
