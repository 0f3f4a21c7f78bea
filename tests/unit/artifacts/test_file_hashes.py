"""Hashes of local files: a file that is as it was is not read again, and a cache that is broken costs time only."""

import hashlib
import os
from pathlib import Path

import pytest

from chex_jobs.artifacts import file_hashes
from chex_jobs.artifacts.file_hashes import cache_path, md5_of_files


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(file_hashes, "TICK_NS", 0)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    digest = hashlib.file_digest

    def spying(file: object, *arguments: object) -> object:
        names.append(Path(file.name).name)  # type: ignore[attr-defined]
        return digest(file, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", spying)
    return names


def md5(path: Path) -> str | None:
    found = md5_of_files({"it": path}).get("it")
    return None if found is None else found[1]


def test_a_file_is_read_once_and_remembered(tmp_path: Path, read: list[str]):
    (tmp_path / "film").write_bytes(b"film")
    assert md5(tmp_path / "film") == md5(tmp_path / "film") == hashlib.md5(b"film").hexdigest()
    assert read == ["film"]


@pytest.mark.parametrize("change", ["content", "time", "inode"])
def test_a_file_whose_size_time_or_inode_is_another_is_read_again(
    tmp_path: Path, read: list[str], change: str
):
    film = tmp_path / "film"
    film.write_bytes(b"film")
    md5(film)
    status = film.stat()
    if change == "content":
        film.write_bytes(b"longer")
        os.utime(film, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(film, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    else:
        (tmp_path / "new").write_bytes(b"mlif")
        os.utime(tmp_path / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
        (tmp_path / "new").replace(film)
    assert md5(film) == hashlib.md5(film.read_bytes()).hexdigest()
    assert len(read) == 2


def test_a_file_written_a_moment_ago_is_not_remembered_for_it_may_be_written_again_within_the_tick(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(file_hashes, "TICK_NS", 10**15)
    (tmp_path / "film").write_bytes(b"film")
    md5(tmp_path / "film")
    md5(tmp_path / "film")
    assert read == ["film", "film"]


def test_what_is_not_there_or_no_file_has_no_hash(tmp_path: Path):
    assert md5(tmp_path / "missing") is None
    assert md5(tmp_path) is None


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00 damaged"])
def test_a_cache_that_is_damaged_costs_time_only(tmp_path: Path, content: bytes):
    cache_path().parent.mkdir(parents=True)
    cache_path().write_bytes(content)
    (tmp_path / "film").write_bytes(b"film")
    assert md5(tmp_path / "film") == hashlib.md5(b"film").hexdigest()


def test_a_cache_that_cannot_be_made_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "film").write_bytes(b"film")
    assert md5(tmp_path / "film") == hashlib.md5(b"film").hexdigest()


def test_progress_counts_every_file(tmp_path: Path):
    seen: list[int] = []
    md5_of_files({str(number): tmp_path / "missing" for number in range(3)}, seen.append)
    assert seen == [1, 2, 3]
