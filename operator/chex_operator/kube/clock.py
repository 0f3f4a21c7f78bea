"""Time as a parameter, so that whatever waits can be tested without waiting."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """The time, and waiting."""

    def now(self) -> float:
        """Seconds since the epoch: for what others read. It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, never going back: for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds; at once for none or fewer, other tasks having had a turn."""
        ...


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
