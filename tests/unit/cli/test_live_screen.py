"""A page drawn in place, on terminals of any size."""

import io

import pytest

from chex_jobs.cli.live_screen import LiveScreen


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "6")
    return io.StringIO()


def frame(terminal: io.StringIO, screen: LiveScreen, lines: list[str]) -> str:
    begun = terminal.tell()
    screen.show(lines)
    terminal.seek(begun)
    return terminal.read()


def test_a_shorter_page_leaves_nothing_of_a_longer_one(terminal: io.StringIO) -> None:
    screen = LiveScreen(terminal)
    assert frame(terminal, screen, ["one", "two"]) == "\x1b[?2026hone\x1b[K\ntwo\x1b[K\n\x1b[J\x1b[?2026l"
    assert frame(terminal, screen, ["three"]) == "\x1b[?2026h\x1b[2Fthree\x1b[K\n\x1b[J\x1b[?2026l"


def test_what_does_not_fit_is_cut_so_that_the_next_page_begins_in_the_right_line(
    terminal: io.StringIO,
) -> None:
    screen = LiveScreen(terminal)
    shown = frame(terminal, screen, ["x" * 50, *"abcdefgh"])
    assert "x" * 20 + "\x1b[K" in shown
    assert shown.count("\n") == 5
    assert "…" in shown
    assert "\x1b[5F" in frame(terminal, screen, ["next"])


def test_the_cursor_is_hidden_while_pages_are_drawn_and_shown_after(terminal: io.StringIO) -> None:
    with LiveScreen(terminal):
        pass
    assert terminal.getvalue() == "\x1b[?25l\x1b[?25h"
