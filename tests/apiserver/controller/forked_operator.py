"""Operators that begin in hundredths of a second: forked from a process that has imported the program already.

Each is a process of its own, which a signal ends like any other. What it is spared is more than a second of imports, for the
sake of tests that end and start operators hundreds of times.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import cast

from tests.apiserver.controller.operator_process import OperatorProcess
from tests.patience import PATIENCE_SECONDS

NURSERY = multiprocessing.get_context("forkserver")
NURSERY.set_forkserver_preload(["__main__", "chex_operator.__main__", "kubernetes.aio.config", __name__])
_one_at_a_time = threading.Lock()
"""`multiprocessing` looks after the processes of every thread whenever one of them starts another."""


class ForkedOperator(OperatorProcess):
    """One replica."""

    def __init__(self, kubeconfig: Path, log: Path, *options: str) -> None:
        super().__init__(kubeconfig, log, *options)
        self._forked: ForkServerProcess | None = None

    def start(self, options: Sequence[str] = ()) -> None:
        assert self._forked is None
        given = (["--port=0", *self._options, *options], str(self._kubeconfig), str(self.log))
        with _one_at_a_time:
            self._forked = NURSERY.Process(target=_operate, args=given, daemon=True)
            self._forked.start()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        assert self._forked is not None
        deadline = time.monotonic() + seconds
        while self.alive:
            assert time.monotonic() < deadline, f"it has not ended in {seconds} s"
            time.sleep(0.01)
        code = self._forked.exitcode
        self._forked = None
        return cast(int, code)

    @property
    def alive(self) -> bool:
        with _one_at_a_time:
            return self._forked is not None and self._forked.is_alive()

    def _signal(self, number: int) -> None:
        assert self._forked is not None
        assert self._forked.pid is not None
        if self.alive:
            os.kill(self._forked.pid, number)

    @property
    def ended(self) -> bool:
        return self._forked is not None and not self.alive

    def _end(self, number: int) -> int:
        if self._forked is None:
            return 0
        self._signal(number)
        return self.wait()


def _operate(options: list[str], kubeconfig: str, log: str) -> None:
    """What `python -m chex_operator` does, in a process that was just forked."""
    from chex_operator.__main__ import main

    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ["KUBECONFIG"] = kubeconfig
    sys.argv = ["chex_operator", *options]
    sys.exit(main())
