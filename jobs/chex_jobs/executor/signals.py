"""Signals that end a program: SIGINT (Ctrl-C), SIGTERM, and SIGHUP, which a terminal that closes sends.

A run ends with a checkpoint, whichever of them comes and however often; anything else ends at once, and clears up. The exit code is
128 and the signal's number, as a shell tells it: 130, 143 or 129.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPT, TERMINATE, HANG_UP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
ENDING = (INTERRUPT, TERMINATE, HANG_UP)
SAME_WISH_SECONDS = 2.0
"""`timeout` sends its signal to the program and to its group, systemd SIGHUP after SIGTERM: no second wish within so long."""

Handler = Callable[[int, FrameType | None], object]


class EndedBySignal(KeyboardInterrupt):
    """A signal ended what this program did. Ends what Ctrl-C ends."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = exit_code(number)


def exit_code(number: int) -> int:
    """Of a program that a signal ended."""
    return 128 + number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `EndedBySignal` in the block, so that it clears up as after Ctrl-C. Once: what comes then is not heard."""

    def end(number: int, _frame: FrameType | None) -> None:
        for each in (TERMINATE, HANG_UP):
            signal.signal(each, signal.SIG_IGN)
        raise EndedBySignal(number)

    with _handled(dict.fromkeys((TERMINATE, HANG_UP), end)):
        yield


class StopSignals:
    """Asks for a stop at the next safe point while it is entered; whoever insists does not wait for that.

    Insisting is Ctrl-C once more, or SIGTERM some seconds after the first one. SIGHUP comes as often as shells pass it on.
    """

    def __init__(self, stop: threading.Event, on_first: Callable[[], None] = lambda: None) -> None:
        """`stop` is set by the first signal; `on_first` is called then, in the main thread."""
        self._stop = stop
        self._on_first = on_first
        self._first: int | None = None
        self._heard_at = 0.0
        self._block = _handled(dict.fromkeys(ENDING, self._ask))

    @property
    def exit_code(self) -> int | None:
        """That of the first signal; None without one."""
        return None if self._first is None else exit_code(self._first)

    def __enter__(self) -> "StopSignals":
        self._block.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._block.__exit__(None, None, None)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self._first is not None:
            if number == INTERRUPT or (number == TERMINATE and self._is_another_wish()):
                raise EndedBySignal(self._first)
            return
        self._first, self._heard_at = number, time.monotonic()
        self._stop.set()
        self._on_first()

    def _is_another_wish(self) -> bool:
        return time.monotonic() - self._heard_at > SAME_WISH_SECONDS


@contextmanager
def kept_from_ray() -> Iterator[None]:
    """Around `ray.init`: this program's handlers are its own again afterwards.

    Ray 2.60 puts handlers of its own for SIGTERM there, first one that exits, then, where it starts a node, one that kills the
    node's processes and exits. A signal that meets these is heard by ours once Ray has let go.

    Raises:
        EndedBySignal: a signal came meanwhile; Ray may not be there.
    """
    ours = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield
    except SystemExit:
        _restore(ours)
        heard = ours[TERMINATE]
        if callable(heard):
            heard(TERMINATE, None)
        raise EndedBySignal(TERMINATE) from None
    finally:
        _restore(ours)


@contextmanager
def _handled(handlers: dict[signal.Signals, Handler]) -> Iterator[None]:
    """Handlers for a block. What `nohup` had ignored stays ignored; other threads than the main one may set none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getsignal(HANG_UP) == signal.SIG_IGN:
        handlers = {number: handler for number, handler in handlers.items() if number != HANG_UP}
    earlier = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        _restore(earlier)


def _restore(handlers: "dict[signal.Signals, signal._HANDLER]") -> None:
    for number, handler in handlers.items():
        if handler is not None:  # one that was not set from Python cannot be set again
            signal.signal(number, handler)


def exit_on_signals() -> None:
    """Let a program that has nothing to keep exit at SIGTERM and SIGHUP, and clear up."""
    for number in (TERMINATE, HANG_UP):
        signal.signal(number, lambda number, _frame: sys.exit(exit_code(number)))
