"""Signals to commands that have nothing to keep: they end at once, with the exit code that a shell would tell."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chex_jobs.executor.signals import EndedBySignal, StopSignals, ended_by_signals, kept_from_ray
from tests.patience import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_command_that_a_signal_ends_tells_which(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "chex_jobs.cli", "validate", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        wait_until_it_reads(process.pid)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == code, errors
        assert b"Traceback" not in errors


def wait_until_it_reads(pid: int) -> None:
    """Until the program sleeps in `read` of its standard input, with its handlers in place."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        waits = "pipe" in Path(f"/proc/{pid}/wchan").read_text() or "S (sleeping)" in status
        if caught >> (signal.SIGTERM - 1) & 1 and caught >> (signal.SIGHUP - 1) & 1 and waits:
            return
        time.sleep(0.05)
    raise AssertionError("it does not come to read")


def test_the_first_signal_asks_and_decides_the_exit_code() -> None:
    stop, asked = threading.Event(), list[bool]()
    with StopSignals(stop, lambda: asked.append(True)) as signals:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert stop.is_set()
    assert asked == [True]
    assert signals.exit_code == 129


def test_ctrl_c_once_more_does_not_wait() -> None:
    stop = threading.Event()
    with StopSignals(stop) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(EndedBySignal):
            os.kill(os.getpid(), signal.SIGINT)
    assert signals.exit_code == 143


def test_what_nohup_had_ignored_stays_ignored() -> None:
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = threading.Event()
        with StopSignals(stop):
            os.kill(os.getpid(), signal.SIGHUP)
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, earlier)


def test_handlers_are_as_before_when_the_block_has_ended() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with ended_by_signals(), StopSignals(threading.Event()):
        pass
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_library_that_sets_its_own_handler_does_not_keep_it() -> None:
    stop = threading.Event()
    with StopSignals(stop) as signals:
        with kept_from_ray():
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.is_set()
    assert signals.exit_code == 143


def test_a_signal_that_meets_a_librarys_handler_is_still_heard() -> None:
    stop = threading.Event()
    with StopSignals(stop) as signals, pytest.raises(EndedBySignal):
        _be_ended_while_a_library_starts()
    assert signals.exit_code == 143
    assert stop.is_set()


def _be_ended_while_a_library_starts() -> None:
    with kept_from_ray():
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        os.kill(os.getpid(), signal.SIGTERM)
