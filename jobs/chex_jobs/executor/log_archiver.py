"""`python -m chex_jobs.executor.log_archiver FOLDER SOURCE SECONDS`: between a driver and its standard output.

A process of its own, so that a driver's last words are stored although it was killed (the kernel does that to one that takes too
much memory) or crashed inside a C library. It reads the driver's output from the file descriptor SOURCE, writes it through to its
own standard output and stores it in the folder. Its standard input tells the end: a byte, or that the driver is gone.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator

from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.errors import ArtifactError
from chex_jobs.executor.chunk_writer import ChunkWriter
from chex_jobs.executor.redaction import Redactor, secrets_of

READ_BYTES = 1 << 16
QUIET_SECONDS, LONGEST_SECONDS = 0.2, 2.0
"""After the driver's end its output is read until nothing came for so long, or for so long in all."""


def main(folder: str, source: int, interval: float) -> int:
    """Pass everything on until the driver's end, and store it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # a driver that is told to end has yet to say so
    try:
        storage = open_storage(folder)
    except ArtifactError as error:
        _warn(f"the log is not archived: {error}")
        return 1
    redactor = Redactor(secrets_of(os.environ))
    with ChunkWriter(storage, _warn, interval=interval) as chunks:
        for data in _output(source, sys.stdin.fileno()):
            _pass_on(redactor.feed(data), chunks)
        _pass_on(redactor.flush(), chunks)
    return 0


def _output(source: int, end: int) -> Iterator[bytes]:
    """What the driver prints. Processes that it left behind may hold `source` open: their output is waited for no longer."""
    while end not in (ready := select.select([source, end], [], [])[0]):
        assert source in ready
        data = os.read(source, READ_BYTES)
        if not data:
            return
        yield data
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline and select.select([source], [], [], QUIET_SECONDS)[0]:
        data = os.read(source, READ_BYTES)
        if not data:
            return
        yield data


def _pass_on(data: bytes, chunks: ChunkWriter) -> None:
    chunks.add(data)
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(sys.stdout.fileno(), view) :]
    except OSError:  # nobody reads on: the archive still does
        return


def _warn(text: str) -> None:
    sys.stderr.write(f"log archive: {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
