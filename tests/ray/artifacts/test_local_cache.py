"""Local copies of S3 objects: checked, shared, bounded."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chex_jobs.artifacts import CorruptArtifact, Storage, open_storage
from chex_jobs.artifacts import cache as cache_module
from chex_jobs.artifacts.cache import LocalCache
from chex_jobs.artifacts.hashing import sha256_of
from tests.patience import PATIENCE_SECONDS

FETCH = (
    "import sys, pathlib\n"
    "from chex_jobs.artifacts import open_storage\n"
    "from chex_jobs.artifacts.cache import LocalCache\n"
    "uri, directory, size, sha256 = sys.argv[1:]\n"
    "path = LocalCache(pathlib.Path(directory), 250).file(open_storage(uri), 'a', int(size), sha256)\n"
    "print(path, flush=True)\n"
    "sys.stdin.readline()\n"
    "path.read_bytes()\n"
)


@pytest.fixture
def storage(s3_uri: str) -> Storage:
    return open_storage(s3_uri)


@pytest.fixture(autouse=True)
def _nothing_held() -> Iterator[None]:
    """What this process holds is held for its lifetime: give it up, as if each test were a process."""
    yield
    release()


def release() -> None:
    for descriptor in cache_module._held.values():
        os.close(descriptor)
    cache_module._held.clear()


def fetch(cache: LocalCache, storage: Storage, key: str, data: bytes) -> Path:
    return cache.file(storage, key, len(data), sha256_of(data))


def test_the_second_request_needs_no_storage(storage: Storage, tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "c")
    storage.write_bytes("a", b"weights")
    first = fetch(cache, storage, "a", b"weights")
    storage.delete("a")
    release()
    assert fetch(cache, storage, "a", b"weights") == first
    assert first.read_bytes() == b"weights"


def test_what_the_storage_changed_is_refused_and_not_kept(storage: Storage, tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "c")
    storage.write_bytes("a", b"Weights")
    with pytest.raises(CorruptArtifact, match=f"{storage.uri}/a has SHA-256"):
        fetch(cache, storage, "a", b"weights")
    assert list((tmp_path / "c" / "entries").iterdir()) == []


def test_a_copy_damaged_on_the_local_disk_is_fetched_again(
    storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = LocalCache(tmp_path / "c")
    storage.write_bytes("a", b"weights")
    fetch(cache, storage, "a", b"weights").write_bytes(b"WEIGHTS")
    release()
    with caplog.at_level(logging.WARNING):
        assert fetch(cache, storage, "a", b"weights").read_bytes() == b"weights"
    assert "damaged" in caplog.text


def test_the_longest_unused_entries_make_room(storage: Storage, tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "c", max_bytes=250)
    paths = {}
    for age, key in enumerate("abc"):
        data = key.encode() * 100
        storage.write_bytes(key, data)
        paths[key] = fetch(cache, storage, key, data)
        os.utime(paths[key], (1_000_000 + age, 1_000_000 + age))
        release()
    assert not paths["a"].exists()
    assert paths["b"].exists()
    assert paths["c"].exists()


def test_an_entry_that_a_process_uses_is_never_removed(storage: Storage, tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "c", max_bytes=250)
    for key in "abc":
        storage.write_bytes(key, key.encode() * 100)
    arguments = [storage.uri, str(cache.directory), "100", sha256_of(b"a" * 100)]
    user = subprocess.Popen(
        [sys.executable, "-c", FETCH, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdout is not None
    used = Path(user.stdout.readline().strip())
    os.utime(used, (1, 1))
    for key in "bc":
        fetch(cache, storage, key, key.encode() * 100)
        release()
    assert used.exists()
    user.communicate("\n", timeout=PATIENCE_SECONDS)
    assert user.returncode == 0
    fetch(cache, storage, "b", b"b" * 100)
    release()
    storage.write_bytes("d", b"d" * 100)
    fetch(cache, storage, "d", b"d" * 100)
    assert not used.exists(), "its user has ended"


def test_a_process_that_reads_very_many_files_keeps_few_descriptors(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "MAX_HELD", 3)
    cache = LocalCache(tmp_path / "c")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(12):
        data = f"{number}".encode()
        storage.write_bytes(f"{number}", data)
        assert fetch(cache, storage, f"{number}", data).read_bytes() == data
    connections = 3
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3 + connections
    assert [path.read_bytes() for path in cache_module._held] == [b"9", b"10", b"11"]


def test_processes_that_want_one_object_all_get_it(storage: Storage, tmp_path: Path) -> None:
    data = b"a" * 100
    storage.write_bytes("a", data)
    arguments = [storage.uri, str(tmp_path / "c"), "100", sha256_of(data)]
    users = [
        subprocess.Popen(
            [sys.executable, "-c", FETCH, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    paths = {user.communicate("\n", timeout=PATIENCE_SECONDS)[0] for user in users}
    assert [user.returncode for user in users] == [0, 0, 0]
    assert len(paths) == 1


def test_a_full_disk_under_the_cache_is_told_with_the_way_out(storage: Storage, tmp_path: Path) -> None:
    storage.write_bytes("a", b"a" * 200_000)
    script = (
        "import pathlib, resource, sys\n"
        "from chex_jobs.artifacts import StorageFull, open_storage\n"
        "from chex_jobs.artifacts.cache import LocalCache\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    LocalCache(pathlib.Path(sys.argv[2])).file(open_storage(sys.argv[1]), 'a', 200_000, 'a' * 64)\n"
        "except StorageFull as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", script, storage.uri, str(tmp_path / "c")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "no space left in the cache" in ended.stdout
    assert "XDG_CACHE_HOME" in ended.stdout
    assert list((tmp_path / "c" / "entries").iterdir()) == []
