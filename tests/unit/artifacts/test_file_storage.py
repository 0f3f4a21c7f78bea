import hashlib
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from chex_jobs.artifacts import ObjectNotFound, Storage, StorageDenied, StorageUnavailable, open_storage
from chex_jobs.artifacts.file_storage import FileStorage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(f"file://{tmp_path}/root")


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def write_and_fail(storage: Storage, key: str, data: bytes) -> None:
    with storage.staged(key) as path:
        path.write_bytes(data)
        raise RuntimeError


def test_the_etag_of_a_file_is_what_s3_gives_to_an_object_put_in_one_part(storage: Storage) -> None:
    storage.write_bytes("a", b"film")
    assert [found.etag for found in storage.list()] == [hashlib.md5(b"film").hexdigest()]


def test_a_listing_has_the_order_of_s3_not_of_directories(storage: Storage) -> None:
    keys = ["a/z", "a.txt", "a-b/c", "a0", "B", "é", "a/b/c"]
    for key in keys:
        storage.write_bytes(key, b"")
    assert [found.key for found in storage.list()] == sorted(keys, key=str.encode)


def test_a_link_to_a_directory_above_ends_the_walk(storage: Storage, tmp_path: Path) -> None:
    storage.write_bytes("a/film", b"1")
    (tmp_path / "root" / "a" / "loop").symlink_to(tmp_path / "root")
    assert set(storage.sizes()) == {"a/film"}


def test_a_file_name_that_is_no_utf8_is_listed_and_read(storage: Storage, tmp_path: Path) -> None:
    storage.write_bytes("a", b"1")
    Path(os.fsdecode(os.fsencode(tmp_path / "root") + b"/caf\xe9")).write_bytes(b"22")
    (odd,) = (found for found in storage.list() if found.key != "a")
    assert storage.read_bytes(odd.key) == b"22"
    assert storage.uri_of(odd.key).endswith("/caf%E9")


def test_a_write_that_raises_leaves_the_old_object_and_no_other_file(
    storage: Storage, tmp_path: Path
) -> None:
    storage.write_bytes("a", b"old")
    with pytest.raises(RuntimeError):
        write_and_fail(storage, "a", b"new")
    assert storage.read_bytes("a") == b"old"
    assert names_in(tmp_path / "root") == ["a"]


def test_what_a_killed_writer_left_is_not_listed(storage: Storage, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from chex_jobs.artifacts import open_storage\n"
        "with open_storage(sys.argv[1]).staged('a') as path:\n"
        "    path.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, storage.uri], check=False)
    assert len(names_in(tmp_path / "root")) == 1, "the writer was killed before it wrote"
    assert list(storage.list()) == []
    assert not storage.exists("a")


def test_deleting_the_last_file_of_a_folder_removes_the_folder(storage: Storage, tmp_path: Path) -> None:
    storage.write_bytes("a/b/c", b"")
    storage.delete("a/b/c")
    assert names_in(tmp_path / "root") == []


def test_a_full_disk_is_told_with_its_place_and_the_way_out(storage: Storage) -> None:
    """The limit on the size of files stands in for a full disk: the write fails in the same call."""
    script = (
        "import sys\n"
        "from chex_jobs.artifacts import StorageFull, open_storage\n"
        "storage = open_storage(sys.argv[1])\n"
        "storage.write_bytes('small', b'x')\n"
        "for write in (storage.write_bytes, storage.put_if_absent):\n"
        "    try:\n"
        "        write('weights', bytes(1_000_000))\n"
        "    except StorageFull as error:\n"
        "        print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, storage.uri],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    messages = ended.stdout.splitlines()
    assert len(messages) == 2
    for message in messages:
        assert f"no space left to write {storage.uri}/weights" in message
        assert "free space" in message
        assert "run the same command again" in message
    assert set(storage.sizes()) == {"small"}


def test_a_directory_where_a_file_is_wanted_is_no_object(storage: Storage) -> None:
    storage.write_bytes("a/b", b"")
    assert not storage.exists("a")
    with pytest.raises(ObjectNotFound, match="/root/a"):
        storage.read_bytes("a")


def test_a_place_that_may_not_be_written_to_is_told_apart_from_one_that_cannot_be(tmp_path: Path) -> None:
    # /sys takes new directories from nobody, root included, whom a file mode would not stop.
    with pytest.raises(StorageDenied, match="check owner and mode of file:///sys/chex-test"):
        open_storage("file:///sys/chex-test").write_bytes("a", b"")
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match=r"cannot write .*/file/below/a"):
        open_storage(f"file://{tmp_path}/file/below").write_bytes("a", b"")


def test_pickling_keeps_the_uri_only(storage: Storage) -> None:
    copy = pickle.loads(pickle.dumps(storage))
    assert isinstance(copy, FileStorage)
    assert copy.uri == storage.uri
    assert len(pickle.dumps(storage)) < 200 + len(storage.uri)
