"""The line that tells how far a run is, on terminals of any width."""

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_api.stage import StageProgress
from chex_jobs.cli.live_line import LiveLine, fitted
from chex_jobs.cli.progress import described
from chex_jobs.cli.terminal import clipped, display_width, size_of, tell

LEFT = "~40 s left"
ITEMS = ["trial 3 of 12", "step 120/400", "loss 2.31", "films/s 812", LEFT]


@pytest.mark.parametrize("columns", range(200))
def test_a_line_fits_and_its_last_item_is_whole_wherever_it_fits(columns: int) -> None:
    line = fitted("adapt/saint-mary", ITEMS, columns)
    assert display_width(line) <= columns
    assert line.endswith(LEFT) == (columns >= len(LEFT))


@given(st.text(max_size=60), st.lists(st.text(max_size=30), min_size=1, max_size=8), st.integers(0, 120))
def test_any_text_fits_any_width(name: str, items: list[str], columns: int) -> None:
    assert display_width(fitted(name, items, columns)) <= columns


def test_items_before_the_last_go_first_and_then_the_end_of_the_name() -> None:
    assert fitted("pretrain/ssl", ITEMS, 120) == f"pretrain/ssl: {', '.join(ITEMS)}"
    assert fitted("pretrain/ssl", ITEMS, 60) == "pretrain/ssl: trial 3 of 12, step 120/400, ~40 s left"
    assert fitted("pretrain/ssl", ITEMS, 30) == "pretrain/ssl: ~40 s left"
    assert fitted("pretrain/ssl", ITEMS, 20) == "pretrai…: ~40 s left"
    assert fitted("pretrain/ssl", ITEMS, 12) == LEFT
    assert fitted("pretrain/ssl", ITEMS, 9) == ""


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert display_width("胸部X線") == 7
    assert display_width("e\u0301") == 1
    assert clipped("胸部X線", 5) == "胸部…"
    assert clipped("胸部X線", 4) == "胸…"
    assert display_width(fitted("ingest/胸部", ["film 1 of 2", "残り四十秒"], 20)) <= 20


def test_the_time_left_is_the_last_item_of_a_progress() -> None:
    progress = StageProgress(done=120, total=400, unit="step", metrics={"loss": 2.31}, eta_seconds=40.0)
    assert described(progress) == ["step 120/400", "loss 2.31", LEFT]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, TextIO]]:
    """The two ends of a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        yield master, stream
    os.close(master)


def resize(master: int, columns: int, lines: int = 24) -> None:
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def shown(master: int) -> str:
    return os.read(master, 1 << 16).decode().rpartition("\x1b[2K")[2]


@pytest.mark.parametrize("columns", [1, 5, 12, 24, 40, 80, 160, 500])
def test_a_terminal_of_any_width_shows_one_line(terminal: tuple[int, TextIO], columns: int) -> None:
    master, stream = terminal
    resize(master, columns)
    LiveLine(stream).show("pretrain/ssl", ITEMS)
    line = shown(master)
    assert len(line) < columns
    assert line.endswith(LEFT) == (columns > len(LEFT))


def test_a_terminal_that_changes_its_width_is_asked_again(terminal: tuple[int, TextIO]) -> None:
    master, stream = terminal
    line = LiveLine(stream)
    for columns, expected in ((30, "pretrain/ssl: ~40 s left"), (21, "pretrai…: ~40 s left")):
        resize(master, columns)
        line.show("pretrain/ssl", ITEMS)
        assert shown(master) == expected


def test_a_terminal_that_does_not_tell_its_width_counts_as_eighty_columns(
    terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    master, stream = terminal
    resize(master, 0, 0)
    assert size_of(stream) == (80, 24)


def test_the_width_is_that_of_the_stream_that_is_written_to(
    terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    resize(terminal[0], 33)
    assert size_of(terminal[1]).columns == 33


def test_what_steers_a_terminal_does_not_reach_it(terminal: tuple[int, TextIO]) -> None:
    master, stream = terminal
    resize(master, 80)
    LiveLine(stream).show("ingest/x", ["a\x1b[2Jb\nc", LEFT])
    assert shown(master) == "ingest/x: a [2Jb c, ~40 s left"


def test_characters_that_a_terminal_does_not_know_take_a_column_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="ascii", errors="backslashreplace") as stream:
        resize(master, 20)
        LiveLine(stream).show("ingest/胸部胸部", [LEFT])
        assert shown(master) == "ingest?: ~40 s left"
    os.close(master)


@pytest.mark.parametrize("kind", ["file", "dumb terminal"])
def test_nothing_is_shown_where_no_line_can_be_written_over(
    kind: str, terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO() if kind == "file" else terminal[1]
    line = LiveLine(stream)
    line.show("pretrain/ssl", ITEMS)
    line.clear()
    if kind == "file":
        assert stream.tell() == 0
    else:
        os.set_blocking(terminal[0], False)
        with pytest.raises(BlockingIOError):
            os.read(terminal[0], 1)


def test_a_terminal_that_is_gone_is_written_to_no_more() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        os.close(master)
        tell("to nobody", stream)
        tell("and again", stream)
