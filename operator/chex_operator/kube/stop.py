"""Waits that end, and the way to a graceful stop: no new keys, running passes to their end, the Lease given back."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from chex_operator.kube.clock import Clock

logger = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGINT)
Result = TypeVar("Result")


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result. Raises `TimeoutError` after that many seconds, the work being cancelled but not waited for."""
    task = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError(f"not done within {seconds:g} s")
        return task.result()
    finally:
        task.cancel()
        alarm.cancel()


@contextmanager
def stop_on_signals() -> Generator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set. The second signal ends the process at once, as if nobody listened."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def stop_listening() -> None:
        for each in SIGNALS:
            loop.remove_signal_handler(each)

    def ask(number: signal.Signals) -> None:
        logger.info("%s: stopping", number.name)
        asked.set()
        stop_listening()

    for each in SIGNALS:
        loop.add_signal_handler(each, ask, each)
    try:
        yield asked
    finally:
        stop_listening()


class Drainable(Protocol):
    """A queue, as far as stopping is concerned."""

    async def shutdown(self) -> None:
        """Hand out nothing more, and return when the running work is done."""
        ...


@dataclass(frozen=True)
class StopBounds:
    """How long the parts of a stop may take, in seconds. Their sum stays below the Pod's grace period of 30 s."""

    drain: float = 15.0
    cancel: float = 2.0
    release: float = 5.0


async def stop_gracefully(
    queue: Drainable,
    workers: asyncio.Task[None],
    release: Callable[[], Awaitable[None]],
    clock: Clock,
    bounds: StopBounds | None = None,
) -> bool:
    """Let the running passes end, cancel those that take too long, then give the Lease back.

    The Lease is kept where a worker survives its cancelling: whoever takes over must not meet it. It then expires.

    Returns:
        Whether all passes came to their end and the Lease is free.
    """
    bounds = bounds or StopBounds()
    drained = await _ended(clock, bounds.drain, queue.shutdown(), "running passes")
    if not drained:
        workers.cancel()
    if not await _ended(clock, bounds.cancel, _end_of(workers), "cancelled passes"):
        return False
    return await _ended(clock, bounds.release, _awaited(release), "giving the Lease back") and drained


async def _ended(clock: Clock, seconds: float, work: Coroutine[Any, Any, None], what: str) -> bool:
    try:
        await within(clock, seconds, work)
    except TimeoutError:
        logger.warning("%s did not end within %g s", what, seconds)
        return False
    return True


async def _end_of(workers: asyncio.Task[None]) -> None:
    await asyncio.wait({workers})


async def _awaited(release: Callable[[], Awaitable[None]]) -> None:
    await release()
