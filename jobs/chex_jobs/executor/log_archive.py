"""Logs that outlive their cluster: what a process and its libraries print goes to storage as well, while it is printed.

File descriptors are redirected, not `sys.stdout`: Ray's printer of its workers' lines, C libraries and the fault handler are
caught alike. Nothing here fails the process that is archived: neither storage that refuses, nor an archiver that dies.
"""

import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chex_jobs.executor.chunk_writer import INTERVAL_SECONDS, LAST_SECONDS
from chex_jobs.executor.log_chunks import attempt_of
from chex_jobs.executor.redaction import Redactor, secrets_of
from chex_jobs.stages.unexpected_errors import keep_whole, without_text

log = logging.getLogger(__name__)

STDOUT, STDERR = 1, 2
ENDING_SECONDS = LAST_SECONDS + 10.0
"""The archiver ends by itself after its last chunk; this is for one that hangs."""
STANDING_IN_SECONDS = 2.0
"""What an archiver that failed has left unread is printed by then, unless children that live on add to it."""


@contextmanager
def archived_output(folder: str, *, interval: float = INTERVAL_SECONDS) -> Iterator[None]:
    """Archive what this process and its children print, both streams as one, until the block ends.

    An exception that leaves the block is told inside it and becomes `SystemExit(1)`: the interpreter would print it when the
    archive is closed, and with its text. That is stored in the attempt's folder and not printed: many may read the log of a Pod.

    Args:
        folder: where the chunks go, of this process alone; see `log_chunks.stage_logs` and `preflight_logs`.
        interval: seconds after which what was printed is stored at the latest.
    """
    tee = _start(folder, interval)
    try:
        yield
    except Exception as error:
        kept = keep_whole(error, attempt_of(folder))
        log.error(
            "not expected, a fault of this program or its environment; %s\n%s", kept, without_text(error)
        )
        raise SystemExit(1) from error
    finally:
        if tee is not None:
            tee.close()


def _start(folder: str, interval: float) -> "_Tee | None":
    """None where no process can be started: then the log goes where it went before."""
    source, sink = os.pipe()
    told, end = os.pipe()
    command = [sys.executable, "-m", "chex_jobs.executor.log_archiver", folder, str(source), str(interval)]
    try:
        # A session of its own: signals for the driver's process group are not meant for it.
        archiver = subprocess.Popen(command, stdin=told, pass_fds=[source], start_new_session=True)
    except OSError as error:
        log.warning("the log is not archived: %s", error)
        for descriptor in (source, sink, told, end):
            os.close(descriptor)
        return None
    os.close(told)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # a killed process flushes nothing
    tee = _Tee(archiver, source, end, (os.dup(STDOUT), os.dup(STDERR)))
    os.dup2(sink, STDOUT)
    os.dup2(sink, STDERR)
    os.close(sink)
    tee.watcher.start()
    return tee


class _Tee:
    """The archiver, the output that it reads, the pipe that tells it the end, and where output went before."""

    def __init__(
        self, archiver: "subprocess.Popen[bytes]", source: int, end: int, original: tuple[int, int]
    ) -> None:
        self._archiver = archiver
        self._source = source
        self._end = end
        self._original = original
        self.watcher = threading.Thread(target=self._stand_in, name="log-archive-watch", daemon=True)

    def close(self) -> None:
        """Wait, bounded, until everything is stored."""
        self._restore()
        with suppress(OSError):
            os.write(self._end, b".")  # closing alone would not be seen while a forked child lives
        os.close(self._end)
        try:
            failed = self._archiver.wait(ENDING_SECONDS) != 0
        except subprocess.TimeoutExpired:
            self._archiver.kill()
            failed = True
        if failed:
            self.watcher.join(STANDING_IN_SECONDS)

    def _stand_in(self) -> None:
        """When the archiver has ended, before its time or not: nobody blocks on a pipe that is not read.

        This process holds the reading end too, so that a print between the two is no broken pipe. What is in the pipe by then is
        masked as the archiver would have; what is printed later goes where it went before there was an archiver.
        """
        self._archiver.wait()
        self._restore()
        redactor = Redactor(secrets_of(os.environ))
        with suppress(OSError):
            while data := os.read(self._source, 1 << 16):
                os.write(self._original[0], redactor.feed(data))
            os.write(self._original[0], redactor.flush())

    def _restore(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        for before, now in zip(self._original, (STDOUT, STDERR), strict=True):
            os.dup2(before, now)
