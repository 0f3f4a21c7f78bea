"""Time that passes only when a test says so."""

import asyncio
import heapq
import itertools

SETTLING_TURNS = 50
"""Turns of the event loop after which a chain of callbacks has come to rest."""


async def settle() -> None:
    """Let every task run that can, without time passing."""
    for _ in range(SETTLING_TURNS):
        await asyncio.sleep(0)


class VirtualClock:
    """A `Clock` that stands still until `advance`."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.skew = 0.0
        """How far the wall clock has jumped, in seconds."""

    def now(self) -> float:
        return self._now + self.skew

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        alarm = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), alarm))
        await alarm

    async def advance(self, seconds: float) -> None:
        """Let time pass: every sleeper wakes at its moment, and everything that follows happens then."""
        await settle()
        end = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, alarm = heapq.heappop(self._sleepers)
            if alarm.done():
                continue  # its task was cancelled
            self._now = max(self._now, moment)
            alarm.set_result(None)
            await settle()
        self._now = end
