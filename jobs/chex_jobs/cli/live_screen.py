"""A page that is drawn again and again in the same place of a terminal."""

from typing import TextIO

from chex_jobs.cli.terminal import cut, size_of, tell

BEGIN_UPDATE, END_UPDATE = "\x1b[?2026h", "\x1b[?2026l"
"""Terminals that know synchronized output show a frame whole; others pass over it."""
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
CLEAR_REST_OF_LINE, CLEAR_BELOW = "\x1b[K", "\x1b[J"


class LiveScreen:
    """Draws over what it drew before, line by line, so that nothing flickers.

    The last frame stays when the block ends.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._height = 0

    def __enter__(self) -> "LiveScreen":
        tell(HIDE_CURSOR, self._terminal, end="")
        return self

    def __exit__(self, *_: object) -> None:
        tell(SHOW_CURSOR, self._terminal, end="")

    def show(self, lines: list[str]) -> None:
        """Replace the page. What does not fit is cut: a line that wrapped would shift the next frame."""
        size = size_of(self._terminal)
        fitting = [cut(line, size.columns) for line in lines]
        if len(fitting) >= size.lines:
            fitting = [*fitting[: size.lines - 2], "…"]
        up = f"\x1b[{self._height}F" if self._height else ""
        drawn = "".join(f"{line}{CLEAR_REST_OF_LINE}\n" for line in fitting)
        tell(f"{BEGIN_UPDATE}{up}{drawn}{CLEAR_BELOW}{END_UPDATE}", self._terminal, end="")
        self._height = len(fitting)
