"""What a terminal shows: how wide it is, how wide a text is there, and what to do when it is gone."""

import os
import shutil
import signal
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import TextIO

USUAL_COLUMNS, USUAL_LINES = 80, 24
"""Of a terminal that does not tell, as serial lines do, and of what is no terminal."""
ELLIPSIS = "…"
_INVISIBLE = ("Mn", "Me", "Cf")
"""Categories of characters that take no column: marks on the one before, and what only steers."""


def is_live(stream: TextIO) -> bool:
    """Whether what was written can be written over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def size_of(stream: TextIO) -> os.terminal_size:
    """Columns and lines as they are now; each at least 1.

    Of the terminal behind this stream: `shutil` asks standard output, which is often a file where standard error is a terminal.
    """
    asked = shutil.get_terminal_size((USUAL_COLUMNS, USUAL_LINES))
    columns = lines = 0
    with suppress(OSError, ValueError):  # no terminal, or no file
        columns, lines = os.get_terminal_size(stream.fileno())
    return os.terminal_size((columns or asked.columns, lines or asked.lines))


def display_width(text: str) -> int:
    """Columns that a text takes."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in _INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clipped(text: str, columns: int) -> str:
    """The beginning of a text that fits; what was cut is shown by an ellipsis."""
    if display_width(text) <= columns:
        return text
    return cut(text, columns - 1) + ELLIPSIS if columns > 0 else ""


def cut(text: str, columns: int) -> str:
    """The beginning of a text that fits."""
    return "".join(_fitting(text, columns))


def _fitting(text: str, columns: int) -> Iterator[str]:
    for character in text:
        columns -= _columns(character)
        if columns < 0:
            return
        yield character


def padded(text: str, columns: int, *, to_right: bool = False) -> str:
    """A cell of a table: with spaces behind it, or before it."""
    spaces = " " * (columns - display_width(text))
    return spaces + text if to_right else text + spaces


def tell(text: str, stream: TextIO, end: str = "\n") -> None:
    """Write to a stream whose reader may be gone: that ends no run without a checkpoint.

    A terminal that is closed is written to no more; the kernel sends SIGHUP to those that it is to end. A broken pipe sends nothing
    to a Python program, so it counts as SIGHUP here.
    """
    try:
        print(text, end=end, file=stream, flush=True)
    except OSError as error:
        _silence(stream)
        if isinstance(error, BrokenPipeError):
            signal.raise_signal(signal.SIGHUP)


def _silence(stream: TextIO) -> None:
    """What is still buffered would fail again when the interpreter ends, and change the exit code."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nowhere.fileno(), stream.fileno())
