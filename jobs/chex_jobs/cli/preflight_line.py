"""A live line on standard error while preflight looks at films, which takes long the first time."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chex_jobs.cli.live_line import LiveLine

SECONDS_BEFORE_FIRST = 1.0
SECONDS_BETWEEN = 0.2


@contextmanager
def looking() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what tells how far a look is: data set, films looked at, films in all. On a terminal only."""
    line = LookingLine(LiveLine(sys.stderr))
    try:
        yield line.tell
    finally:
        line.clear()


class LookingLine:
    """A short look shows none."""

    def __init__(self, line: LiveLine) -> None:
        self._line = line
        self._next = time.monotonic() + SECONDS_BEFORE_FIRST

    def tell(self, dataset: str, done: int, total: int) -> None:
        """Show the line, unless it was shown a moment ago."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SECONDS_BETWEEN
            self._line.show(f"looking at {dataset}", [f"film {done} of {total}"])

    def clear(self) -> None:
        """Remove the line."""
        self._line.clear()
