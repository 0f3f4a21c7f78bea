"""Chunks over storage that is slow, refuses, or comes back."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from chex_jobs.artifacts import StorageDenied
from chex_jobs.artifacts.file_storage import FileStorage
from chex_jobs.artifacts.location import Location
from chex_jobs.executor.chunk_writer import ChunkWriter
from tests.patience import PATIENCE_SECONDS

NEVER = 3600.0


class Refusing(FileStorage):
    """A folder that takes nothing while `refuses` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Location.parse(f"file://{folder}"))
        self.refuses = threading.Event()
        self.asked: list[tuple[str, bytes]] = []

    def write_bytes(self, key: str, data: bytes) -> None:
        self.asked.append((key, data))
        if self.refuses.is_set():
            raise StorageDenied("not allowed to write")
        super().write_bytes(key, data)


def stored(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def wait_until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_what_is_left_is_stored_at_the_end(tmp_path: Path) -> None:
    with ChunkWriter(Refusing(tmp_path), print, interval=NEVER) as chunks:
        chunks.add(b"one\n")
        chunks.add(b"two\n")
    assert stored(tmp_path) == {"driver-00001.log": b"one\ntwo\n"}


def test_a_full_chunk_does_not_wait_for_the_interval(tmp_path: Path) -> None:
    with ChunkWriter(Refusing(tmp_path), print, interval=NEVER, chunk_bytes=4) as chunks:
        chunks.add(b"abcdefgh")
        wait_until(lambda: len(stored(tmp_path)) == 2)
        chunks.add(b"ij")
    assert stored(tmp_path) == {
        "driver-00001.log": b"abcd",
        "driver-00002.log": b"efgh",
        "driver-00003.log": b"ij",
    }


def test_what_was_printed_is_stored_after_the_interval(tmp_path: Path) -> None:
    with ChunkWriter(Refusing(tmp_path), print, interval=0.01) as chunks:
        chunks.add(b"alive")
        wait_until(lambda: stored(tmp_path) == {"driver-00001.log": b"alive"})


def test_a_silent_process_stores_nothing(tmp_path: Path) -> None:
    with ChunkWriter(Refusing(tmp_path), print, interval=0.01):
        time.sleep(0.1)
    assert stored(tmp_path) == {}


def test_storage_that_refuses_is_told_once_and_the_same_chunk_is_tried_again(tmp_path: Path) -> None:
    storage, told = Refusing(tmp_path), list[str]()
    storage.refuses.set()
    with ChunkWriter(storage, told.append, interval=0.01) as chunks:
        chunks.add(b"early\n")
        wait_until(lambda: len(storage.asked) > 3)
        chunks.add(b"late\n")
        storage.refuses.clear()
    assert told == ["the log is not archived for now: not allowed to write"]
    assert set(storage.asked) == {("driver-00001.log", b"early\n"), ("driver-00002.log", b"late\n")}
    assert stored(tmp_path) == {"driver-00001.log": b"early\n", "driver-00002.log": b"late\n"}


def test_memory_is_bounded_and_the_newest_is_kept(tmp_path: Path) -> None:
    storage = Refusing(tmp_path)
    storage.refuses.set()
    with ChunkWriter(storage, lambda _: None, interval=0.01, chunk_bytes=4, most_pending=8) as chunks:
        chunks.add(b"aaaa")
        wait_until(lambda: len(storage.asked) > 0)
        for number in range(1000):
            chunks.add(b"%04d" % number)
        storage.refuses.clear()
    log = b"".join(stored(tmp_path).values())
    assert log == b"aaaa\n[3992 bytes are missing here: the storage did not take them in time]\n09980999"


def test_an_end_with_storage_that_refuses_tries_no_more_than_once(tmp_path: Path) -> None:
    storage = Refusing(tmp_path)
    storage.refuses.set()
    with ChunkWriter(storage, lambda _: None, interval=NEVER) as chunks:
        chunks.add(b"lost")
    assert len(storage.asked) == 1
    assert stored(tmp_path) == {}
