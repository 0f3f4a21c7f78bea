"""Decoding in a process of its own with limited memory and time, so that no film can take the run down with it."""

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from typing import IO, Self

import numpy as np

from chex_jobs.data.decoding.decoder_process import FAULT, REPLY, REQUEST
from chex_jobs.data.decoding.faults import FilmError, Reason
from chex_jobs.data.decoding.pixels import Film

ADDRESS_SPACE_BYTES = 3 << 30
"""`RLIMIT_AS` of the decoder: libraries map 0.3 GiB, and the largest legal film (16 bits, RGBA) needs about 1.5."""

SECONDS_PER_FILM = 60.0
"""A film of 20 million pixels takes less than one; a minute is a film that will never end."""

_PIPE_BYTES = 1 << 20  # the most that Linux gives to a user without privileges
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "VIRTUAL_ENV")
# Keep freed memory for the next film: giving it back and asking again costs 2 of 13 ms in page faults (glibc's names).
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class LimitedDecoder:
    """Decodes films one after another in a child process, which is started when needed and replaced when it dies.

    Not safe for use by several threads at once.

    Args:
        address_space_bytes: `RLIMIT_AS` of the child.
        seconds_per_film: time that one film may take before its decoder is killed.
    """

    def __init__(
        self, address_space_bytes: int = ADDRESS_SPACE_BYTES, seconds_per_film: float = SECONDS_PER_FILM
    ) -> None:
        self._address_space_bytes = address_space_bytes
        self._seconds_per_film = seconds_per_film
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, data: bytes, short_side: int) -> Film:
        """Decode one film as `chex_jobs.data.decoding.decode.decode_film` does.

        Raises:
            FilmError: as there; with `DECODER_LIMIT` when the child ran out of memory or time, or crashed.
            OSError: the child cannot be started at all.
        """
        process = self._process if self._process and self._process.poll() is None else self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = time.monotonic() + self._seconds_per_film
        try:
            _write(process.stdin, REQUEST.pack(short_side, len(data)), deadline)
            _write(process.stdin, data, deadline)
            return self._film(process.stdout, deadline)
        except TimeoutError:
            self.close()
            detail = f"decoding took longer than {self._seconds_per_film:.0f} s"
            raise FilmError(Reason.DECODER_LIMIT, detail) from None
        except (BrokenPipeError, EOFError):
            status = process.wait()
            self.close()
            raise FilmError(Reason.DECODER_LIMIT, f"the decoder ended with status {status}") from None

    def close(self) -> None:
        """End the child; the next film starts another."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _film(self, replies: IO[bytes], deadline: float) -> Film:
        kind, first, second = REPLY.unpack(_read(replies, REPLY.size, deadline))
        if kind == FAULT:
            reason, detail = (bytes(_read(replies, length, deadline)) for length in (first, second))
            raise FilmError(Reason(reason.decode()), detail.decode())
        return np.frombuffer(_read(replies, first * second, deadline), np.uint8).reshape(first, second)

    def _start(self) -> subprocess.Popen[bytes]:
        self.close()
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # What this process can import the child can, wherever Ray has put the code; no credential goes along.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        process = subprocess.Popen(
            [sys.executable, "-m", "chex_jobs.data.decoding.decoder_process", str(self._address_space_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | _ONE_THREAD | _KEEP_MEMORY,
            bufsize=0,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        for pipe in (process.stdin, process.stdout):
            os.set_blocking(pipe.fileno(), False)
            _enlarge(pipe)
        self._process = process
        return process


def _enlarge(pipe: IO[bytes]) -> None:
    """Make room for a whole film: with the usual 64 KiB the two processes would take turns some twenty times."""
    if not hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux alone has it
        return
    # The user's share of pipe memory may be used up; that is slower, not wrong.
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _write(pipe: IO[bytes], data: bytes, deadline: float) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(pipe.fileno(), rest) :]
        except BlockingIOError:
            _wait(pipe, select.POLLOUT, deadline)


def _read(pipe: IO[bytes], length: int, deadline: float) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        try:
            count = os.readv(pipe.fileno(), [rest])
        except BlockingIOError:
            _wait(pipe, select.POLLIN, deadline)
            continue
        if count == 0:
            raise EOFError
        rest = rest[count:]
    return data


def _wait(pipe: IO[bytes], event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError
