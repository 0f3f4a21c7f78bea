"""A page that is drawn again and again in the same place of a terminal."""

import shutil
from typing import TextIO

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
        self._terminal.write(HIDE_CURSOR)
        return self

    def __exit__(self, *_: object) -> None:
        self._terminal.write(SHOW_CURSOR)
        self._terminal.flush()

    def show(self, lines: list[str]) -> None:
        """Replace the page. What does not fit is cut: a line that wrapped would shift the next frame."""
        size = shutil.get_terminal_size()
        fitting = [line[: size.columns] for line in lines]
        if len(fitting) >= size.lines:
            fitting = [*fitting[: size.lines - 2], "…"]
        up = f"\x1b[{self._height}F" if self._height else ""
        drawn = "".join(f"{line}{CLEAR_REST_OF_LINE}\n" for line in fitting)
        self._terminal.write(f"{BEGIN_UPDATE}{up}{drawn}{CLEAR_BELOW}{END_UPDATE}")
        self._terminal.flush()
        self._height = len(fitting)
