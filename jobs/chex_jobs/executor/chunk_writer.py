"""A log that grows in storage as numbered objects, none of which is changed again."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from chex_jobs.artifacts.storage import Storage
from chex_jobs.executor.log_chunks import chunk_key

INTERVAL_SECONDS = 15.0
MIB = 1 << 20
CHUNK_BYTES = MIB
MOST_PENDING_BYTES = 4 * MIB
"""What waits while the storage does not answer; beyond it the oldest goes, because the newest tells why a run ended."""
LAST_SECONDS = 20.0
"""How long the end of a stage waits for its last chunk."""


class ChunkWriter:
    """Stores what is added, from a thread of its own, at the latest `interval` seconds later or once a chunk is full.

    Storage that fails is told to `warn` once, and tried again with the same chunk after each interval; `add` never waits for it.
    """

    def __init__(
        self,
        storage: Storage,
        warn: Callable[[str], None],
        *,
        interval: float = INTERVAL_SECONDS,
        chunk_bytes: int = CHUNK_BYTES,
        most_pending: int = MOST_PENDING_BYTES,
    ) -> None:
        self._storage = storage
        self._warn = warn
        self._interval = interval
        self._chunk_bytes = chunk_bytes
        self._most_pending = most_pending
        self._pending = bytearray()
        self._dropped = 0
        self._changed = threading.Condition()
        self._closing = False
        self._warned = False
        self._thread = threading.Thread(target=self._store_until_closed, name="log-archive", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(LAST_SECONDS)

    def add(self, data: bytes) -> None:
        """Take bytes to be stored."""
        with self._changed:
            self._pending += data
            excess = len(self._pending) - self._most_pending
            if excess > 0:
                del self._pending[:excess]
                self._dropped += excess
            if len(self._pending) >= self._chunk_bytes:
                self._changed.notify()

    def _store_until_closed(self) -> None:
        number = 1
        while chunk := self._next_chunk():
            while not self._stored(number, chunk):
                with self._changed:
                    if self._closing:  # what waits now has had its try
                        return
                    self._changed.wait_for(lambda: self._closing, self._interval)
            number += 1

    def _next_chunk(self) -> bytes:
        """Wait for a chunk's bytes; none when all is stored and there will be no more."""
        with self._changed:
            while not self._closing:
                if self._changed.wait_for(self._is_due, self._interval) or self._pending:
                    break
            chunk = bytes(self._pending[: self._chunk_bytes])
            del self._pending[: self._chunk_bytes]
            if self._dropped:
                chunk = (
                    b"\n[%d bytes are missing here: the storage did not take them in time]\n" % self._dropped
                    + chunk
                )
                self._dropped = 0
            return chunk

    def _is_due(self) -> bool:
        return self._closing or len(self._pending) >= self._chunk_bytes

    def _stored(self, number: int, chunk: bytes) -> bool:
        try:
            self._storage.write_bytes(chunk_key(number), chunk)
        except Exception as error:  # whatever it is, a log is worth no run
            if not self._warned:
                self._warned = True
                self._warn(f"the log is not archived for now: {error}")
            return False
        return True
