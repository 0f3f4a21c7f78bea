"""MD5 of local files, remembered: a file that is as it was is not read again.

    <XDG_CACHE_HOME or ~/.cache>/chexdragon/file-hashes.sqlite

A file is known by device, inode, size and time of modification in ns. The cache is a help and never needed: where it
cannot be written, or is damaged, files are read.
"""

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from stat import S_ISREG

log = logging.getLogger(__name__)

CACHE_FILE = "file-hashes.sqlite"
TICK_NS = 20_000_000
"""Two writes closer together than a tick of the file system's clock bear one time: what is younger is not remembered."""
WRITTEN_TOGETHER = 256
"""Hashes kept in memory before they are written; a killed look loses no more."""
WAIT_SECONDS = 5.0

Stat = tuple[int, int, int, int]
"""Device, inode, size in bytes, time of modification in ns."""


def md5_of_files(
    paths: Mapping[str, Path], on_hashed: Callable[[int], None] = lambda _: None
) -> dict[str, tuple[int, str]]:
    """Size in bytes and MD5 of each file that is there, by the names given.

    Args:
        paths: where each lies.
        on_hashed: called after each file with how many are done.

    Raises:
        OSError: a file is there and cannot be read.
    """
    found: dict[str, tuple[int, str]] = {}
    with closing(_Remembered(cache_path())) as remembered:
        for number, (name, path) in enumerate(paths.items(), start=1):
            if (known := remembered.md5_of(path)) is not None:
                found[name] = known
            on_hashed(number)
    return found


def cache_path() -> Path:
    """The cache of this user."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "chexdragon" / CACHE_FILE


class _Remembered:
    """The cache, open. Everything that is wrong with it costs time and nothing else."""

    def __init__(self, path: Path) -> None:
        self._new: list[tuple[str, str]] = []
        self._database = _opened(path)

    def md5_of(self, path: Path) -> tuple[int, str] | None:
        """Size and MD5 of a file, None where there is none."""
        try:
            status = path.stat()
            if not S_ISREG(status.st_mode):
                return None
            md5 = self._known(_stat(status))
            return (status.st_size, md5) if md5 is not None else self._read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def close(self) -> None:
        """Write what is new."""
        self._write()
        if self._database is not None:
            self._database.close()

    def _read(self, path: Path) -> tuple[int, str]:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        self._remember(_stat(status), md5)
        return status.st_size, md5

    def _known(self, stat: Stat) -> str | None:
        if self._database is None:
            return None
        try:
            row = self._database.execute("SELECT md5 FROM hashes WHERE file = ?", (_key(stat),)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        return None if row is None else str(row[0])

    def _remember(self, stat: Stat, md5: str) -> None:
        if time.time_ns() - stat[3] < TICK_NS:
            return
        self._new.append((_key(stat), md5))
        if len(self._new) >= WRITTEN_TOGETHER:
            self._write()

    def _write(self) -> None:
        if self._database is None or not self._new:
            return
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?)", self._new)
        except sqlite3.Error as error:
            self._give_up(error)
        self._new.clear()

    def _give_up(self, error: sqlite3.Error) -> None:
        log.warning("hashes of files are not remembered (%s): delete %s", error, cache_path())
        if self._database is not None:
            self._database.close()
        self._database = None


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=WAIT_SECONDS)
    except (OSError, sqlite3.Error) as error:
        log.info("hashes of files are not remembered: %s", error)
        return None
    try:
        database.execute("CREATE TABLE IF NOT EXISTS hashes (file TEXT PRIMARY KEY, md5 TEXT) WITHOUT ROWID")
    except sqlite3.Error as error:
        log.info("hashes of files are not remembered: %s", error)
        database.close()
        return None
    return database


def _stat(status: os.stat_result) -> Stat:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _key(stat: Stat) -> str:
    return ":".join(map(str, stat))
