"""What every storage promises, the same suite over a directory, versitygw and moto."""

import hashlib
import multiprocessing
import os
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chex_jobs.artifacts import InvalidLocation, ObjectInfo, ObjectNotFound, Storage, open_storage
from chex_jobs.artifacts.s3_storage import PART_BYTES
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
def storage(storage_uri: str) -> Storage:
    return open_storage(storage_uri)


def write_and_fail(storage: Storage, key: str, data: bytes) -> None:
    with storage.staged(key) as path:
        path.write_bytes(data)
        raise RuntimeError


@pytest.mark.parametrize("content", [b"", b"abc", b"abcd", b"abcdefgh"])
def test_the_start_of_an_object_is_read_and_all_of_a_shorter_one(storage: Storage, content: bytes) -> None:
    storage.write_bytes("a", content)
    assert storage.read_start("a", 4) == content[:4]


def test_the_start_of_an_object_that_is_not_there_is_not_found(storage: Storage) -> None:
    with pytest.raises(ObjectNotFound):
        storage.read_start("a", 4)


def test_what_was_written_is_read_and_can_be_replaced(storage: Storage) -> None:
    storage.write_bytes("a/b", b"old")
    storage.write_bytes("a/b", b"new")
    assert storage.read_bytes("a/b") == b"new"


def test_nothing_stored_is_told_with_its_uri(storage: Storage, tmp_path: Path) -> None:
    for read in (storage.read_bytes, storage.info, lambda key: storage.download(key, tmp_path / "x")):
        with pytest.raises(ObjectNotFound, match=f"{storage.uri}/a/missing"):
            read("a/missing")
    assert not storage.exists("a/missing")
    assert list(storage.list()) == list(storage.list("a")) == []


def test_the_second_put_if_absent_changes_nothing(storage: Storage) -> None:
    assert storage.put_if_absent("a", b"first")
    assert not storage.put_if_absent("a", b"second")
    assert not storage.put_if_absent("a", b"first"), "equal bytes are no reason to call both the winner"
    assert storage.read_bytes("a") == b"first"


def test_of_concurrent_writers_exactly_one_wins(storage: Storage) -> None:
    with ThreadPoolExecutor(8) as pool:
        for race in range(5):
            contents = [f"{race}-{writer}".encode() for writer in range(8)]
            won = list(
                pool.map(lambda data, race=race: storage.put_if_absent(f"race-{race}", data), contents)
            )
            assert won.count(True) == 1
            assert storage.read_bytes(f"race-{race}") == contents[won.index(True)]


def test_the_probe_finds_that_put_if_absent_is_honoured_and_leaves_nothing(storage: Storage) -> None:
    assert storage.honours_put_if_absent()
    assert storage.sizes() == {}


def test_a_listing_holds_keys_sizes_and_md5_etags_in_byte_order(storage: Storage) -> None:
    contents = {"a/z": b"1", "a.txt": b"22", "a/b/c": b"", "B": b"4444", "a0": b"5"}
    for key, data in contents.items():
        storage.write_bytes(key, data)
    expected = [
        ObjectInfo(key, len(contents[key]), hashlib.md5(contents[key]).hexdigest())
        for key in sorted(contents)
    ]
    assert list(storage.list()) == expected
    assert storage.sizes() == {found.key: found.size for found in expected}
    assert [storage.info(found.key) for found in expected] == expected
    assert list(storage.sizes("a")) == ["a/b/c", "a/z"], (
        "a folder is no string prefix: a.txt and a0 are not in it"
    )


def test_a_stamp_stays_until_its_object_is_written_again(storage: Storage) -> None:
    storage.write_bytes("mended", b"bad")
    storage.write_bytes("kept", b"1")
    before = storage.stamps()
    time.sleep(0.02)  # the clock of a file system may tick every few milliseconds only
    storage.write_bytes("mended", b"old")
    after = storage.stamps()
    assert after["kept"] == before["kept"]
    assert after["mended"].size == before["mended"].size == 3
    assert after["mended"].mark != before["mended"].mark


def test_infos_are_of_the_keys_asked_for_and_say_nothing_of_those_that_are_not_there(
    storage: Storage,
) -> None:
    contents = {"films/a": b"1", "films/b": b"22", "films/beside": b"333", "elsewhere": b"4"}
    for key, data in contents.items():
        storage.write_bytes(key, data)
    looked_at: list[int] = []
    found = storage.infos(["films/a", "films/b", "films/missing", "../x"], looked_at.append)
    assert found == {key: storage.info(key) for key in ("films/a", "films/b")}
    assert looked_at


def test_folders_are_those_in_a_folder_and_not_those_below(storage: Storage) -> None:
    for key in ("stages/a/x", "stages/b/y/z", "stages/file", "objects/c/x"):
        storage.write_bytes(key, b"")
    assert storage.folders("stages") == ("a", "b")
    assert storage.folders() == ("objects", "stages")
    assert storage.folders("nothing") == ()


def test_a_listing_longer_than_one_page_is_whole(storage: Storage) -> None:
    keys = [f"films/{number:05d}" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: storage.write_bytes(key, b""), keys))
    assert list(storage.sizes("films")) == keys


def test_a_file_of_several_parts_comes_back_equal(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(os.urandom(2 * PART_BYTES + 12345))
    storage.upload("weights", tmp_path / "out")
    storage.download("weights", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "out").read_bytes()
    assert storage.sizes() == {"weights": 2 * PART_BYTES + 12345}


def test_a_staged_file_shows_only_when_it_is_whole(storage: Storage) -> None:
    with storage.staged("shards/0") as path:
        path.write_bytes(b"film")
        assert storage.sizes() == {}
    assert storage.read_bytes("shards/0") == b"film"


def test_a_staged_file_whose_writer_fails_never_shows(storage: Storage) -> None:
    with pytest.raises(RuntimeError):
        write_and_fail(storage, "a", b"half")
    assert storage.sizes() == {}


def test_deleting_twice_is_no_error(storage: Storage) -> None:
    storage.write_bytes("a/b", b"")
    storage.delete("a/b")
    storage.delete("a/b")
    assert storage.sizes() == {}


@pytest.mark.parametrize("key", ["../a", "/a", "a/../../b", ""])
def test_no_key_leads_out_of_the_root(storage: Storage, key: str, tmp_path: Path) -> None:
    for act in (storage.read_bytes, storage.exists, storage.delete, storage.info):
        with pytest.raises(InvalidLocation):
            act(key)
    for write in (storage.write_bytes, storage.put_if_absent):
        with pytest.raises(InvalidLocation):
            write(key, b"")
    with pytest.raises(InvalidLocation), storage.staged(key):
        pass


def test_two_roots_do_not_see_each_other(storage: Storage) -> None:
    beside = open_storage(storage.uri + "-beside")
    beside.write_bytes("a", b"theirs")
    assert storage.sizes() == {}
    below = open_storage(storage.uri + "/below")
    below.write_bytes("a", b"1")
    assert storage.read_bytes("below/a") == b"1"


def test_a_copy_in_another_process_opens_its_own_connection(storage: Storage) -> None:
    storage.write_bytes("a", b"1")
    assert b"chex-test-secret" not in pickle.dumps(storage)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(storage.read_bytes, ("a",)) == b"1"


def test_a_forked_child_does_not_use_the_connections_of_its_parent(s3_uri: str) -> None:
    storage = open_storage(s3_uri)
    storage.write_bytes("a", b"1")
    parents_client = storage._client.call(id)  # type: ignore[attr-defined]
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()

    def in_child() -> None:
        storage.read_bytes("a")
        answers.put(storage._client.call(id) == parents_client)  # type: ignore[attr-defined]

    child = fork.Process(target=in_child)
    child.start()
    child.join(timeout=PATIENCE_SECONDS)
    assert child.exitcode == 0
    assert answers.get() is False
