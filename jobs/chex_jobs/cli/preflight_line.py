"""A live line on standard error while preflight looks at films, which takes long the first time."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BEFORE_FIRST = 1.0
SECONDS_BETWEEN = 0.2


@contextmanager
def looking() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what tells how far a look is: data set, films looked at, films in all. On a terminal only."""
    line = LookingLine(is_live=sys.stderr.isatty())
    try:
        yield line.tell
    finally:
        line.clear()


class LookingLine:
    """One line that is written over; a short look shows none."""

    def __init__(self, *, is_live: bool) -> None:
        self._is_live, self._shown = is_live, False
        self._next = time.monotonic() + SECONDS_BEFORE_FIRST

    def tell(self, dataset: str, done: int, total: int) -> None:
        """Show the line, unless it was shown a moment ago."""
        if not self._is_live or time.monotonic() < self._next:
            return
        self._next, self._shown = time.monotonic() + SECONDS_BETWEEN, True
        text = f"looking at {dataset}: film {done} of {total}"
        print(f"\r\x1b[2K{text[:79]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
