"""One line of a terminal that is written over and over, and fits it at any width."""

from collections.abc import Sequence
from typing import TextIO

from chex_jobs.cli.terminal import clipped, display_width, is_live, size_of, tell

BEGIN_AND_CLEAR = "\r\x1b[2K"
BETWEEN = ", "
LEAST_NAME_COLUMNS = 4
"""Less of a name tells nothing."""


class LiveLine:
    """Shows a line, and takes it away. Does nothing where there is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_live = is_live(stream)
        self._is_shown = False

    @property
    def is_live(self) -> bool:
        """Whether anything is shown."""
        return self._is_live

    def show(self, name: str, items: Sequence[str]) -> None:
        """Replace the line by `name: item, item, item`, as much of it as fits (see `fitted`)."""
        if self._is_live:
            self._is_shown = True
            # A line that fills the last column wraps on some terminals.
            columns = size_of(self._stream).columns - 1
            line = fitted(self._shown(name), [self._shown(item) for item in items], columns)
            tell(f"{BEGIN_AND_CLEAR}{self._shown(line)}", self._stream, end="")

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown:
            self._is_shown = False
            tell(BEGIN_AND_CLEAR, self._stream, end="")

    def _shown(self, text: str) -> str:
        """Without what steers a terminal, and without what it has no characters for, each of which takes a column."""
        encoding = self._stream.encoding or "utf-8"
        printable = "".join(each if each.isprintable() else " " for each in text)
        return printable.encode(encoding, "replace").decode(encoding)


def fitted(name: str, items: Sequence[str], columns: int) -> str:
    """`name: item, item, item` in so many columns.

    The last item is what people look for, the time left: it is shown whole, or nothing is. Those before it are left out from behind,
    and then the end of the name.
    """
    *others, last = items
    for kept in range(len(others), -1, -1):
        line = f"{name}: {BETWEEN.join([*others[:kept], last])}"
        if display_width(line) <= columns:
            return line
    room = columns - display_width(f": {last}")
    if room >= LEAST_NAME_COLUMNS:
        return f"{clipped(name, room)}: {last}"
    return last if display_width(last) <= columns else ""
