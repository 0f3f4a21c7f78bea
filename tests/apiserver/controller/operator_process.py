"""`python -m chex_operator` as its own process."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.apiserver.ray_engine.launching import eventually
from tests.patience import PATIENCE_SECONDS


class OperatorProcess:
    """One replica. Ends with the block, by SIGKILL when it has not ended before."""

    def __init__(self, kubeconfig: Path, log: Path, *options: str) -> None:
        self._kubeconfig, self.log, self._options = kubeconfig, log, options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, options: Sequence[str] = ()) -> None:
        """Start it; it is ready some time later."""
        assert self._process is None
        command = [sys.executable, "-m", "chex_operator", "--port=0", *self._options, *options]
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig)}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    def kill(self) -> None:
        """SIGKILL: nothing is said, nothing given back."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: it stands still, as on a node that swaps or in a virtual machine that is moved."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it stood, and does not know how long that was."""
        self._signal(signal.SIGCONT)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit code, once it has ended by itself."""
        assert self._process is not None
        code = self._process.wait(seconds)
        self._process = None
        return code

    def option(self, name: str) -> str:
        """What its command line says of an option. Raises `LookupError`."""
        for given in self._options:
            if given.startswith(f"{name}="):
                return given.partition("=")[2]
        raise LookupError(f"{name} is not among {self._options}")

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def name(self) -> str:
        """What its identity begins with."""
        return self.option("--identity")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> bool:
        """Whether it was started and has ended by itself."""
        return self._process is not None and not self.alive

    def text(self) -> str:
        """All that it has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def ask(self, path: str) -> tuple[int, str]:
        """The answer of one of its endpoints."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port()}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def _port(self) -> int:
        def told() -> int | None:
            lines = [line for line in self.text().splitlines() if "/metrics on port" in line]
            return int(lines[-1].partition("on port ")[2].split('"')[0]) if lines else None

        return eventually(told, "it does not say its port")

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        self._signal(number)
        return self.wait()
