"""Local copies of S3 objects, shared by all processes of a machine and bounded in size.

    <XDG_CACHE_HOME or ~/.cache>/chexdragon/artifacts/
        entries/<sha256>   a file with this content
        locks/<xx>.lock    held while an entry whose name begins with xx is fetched
        room.lock          held while entries are removed

Whoever uses an entry holds a shared lock on it, for the last few hundred entries it asked for and until its
process ends; an entry is removed only by one who gets the exclusive lock. So nothing vanishes between being
asked for and being opened, whatever is fetched beside it.
"""

import fcntl
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chex_jobs.artifacts.disk import is_full
from chex_jobs.artifacts.errors import (
    CorruptArtifact,
    InvalidLocation,
    ObjectNotFound,
    StorageFull,
    StorageUnavailable,
)
from chex_jobs.artifacts.file_storage import FileStorage
from chex_jobs.artifacts.hashing import check_file
from chex_jobs.artifacts.location import STAGING_PREFIX
from chex_jobs.artifacts.storage import Storage

log = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 64 * 1024**3
MAX_BYTES_VARIABLE = "CHEX_CACHE_MAX_BYTES"
ABANDONED_SECONDS = 24 * 3600.0  # a download that has not ended after a day was killed

MAX_HELD = 256  # each costs a descriptor, of which a process often has 1,024

_held: dict[Path, int] = {}
"""Entries this process uses, the latest last, with the descriptor whose shared lock says so."""
_held_lock = threading.Lock()


def local_file(storage: Storage, key: str, size: int, sha256: str) -> Path:
    """A local file with this object's promised content: the file itself, or its copy in the cache.

    Raises `CorruptArtifact` if the stored bytes are others, `ObjectNotFound`, `StorageFull` if the cache has
    no room. The file must not be written to.
    """
    if isinstance(storage, FileStorage):
        path = storage.path(key)
        if not path.is_file():
            raise ObjectNotFound(f"nothing is stored at {storage.uri_of(key)}")
        check_file(path, size, sha256, storage.uri_of(key))
        return path
    return LocalCache.of_environment().file(storage, key, size, sha256)


@dataclass(frozen=True, slots=True)
class LocalCache:
    """A cache directory and the bytes it may hold.

    Entries in use are never removed, even if that exceeds the bound.
    """

    directory: Path
    max_bytes: int = DEFAULT_MAX_BYTES

    @classmethod
    def of_environment(cls) -> "LocalCache":
        """The cache of this user: `XDG_CACHE_HOME`, and `CHEX_CACHE_MAX_BYTES` in place of 64 GiB."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        told = os.environ.get(MAX_BYTES_VARIABLE) or str(DEFAULT_MAX_BYTES)
        if not (told.isascii() and told.isdigit()):
            raise InvalidLocation(f"{MAX_BYTES_VARIABLE} is {told!r}; it must be a number of bytes")
        return cls(home / "chexdragon" / "artifacts", int(told))

    def file(self, storage: Storage, key: str, size: int, sha256: str) -> Path:
        """The cached file with this SHA-256, fetched and checked if it is not there."""
        wanted = _Wanted(storage, key, size, sha256)
        path = self.directory / "entries" / sha256
        if _is_held(path):
            return path
        with _reporting(self.directory), _locked(self.directory / "locks" / f"{sha256[:2]}.lock"):
            descriptor = self._sound_and_held(path, wanted)
            os.utime(path)
        _hold(path, descriptor)
        return path

    def _sound_and_held(self, path: Path, wanted: "_Wanted") -> int:
        """Fetch the entry if it is absent or damaged. Returns the descriptor whose shared lock keeps it."""
        fetched = False
        while True:
            descriptor = _shared_lock(path)
            if descriptor is None:
                self._fetch(path, wanted)
                fetched = True
                continue  # another process may have removed it again before it could be locked
            try:
                check_file(path, wanted.size, wanted.sha256, wanted.uri)
                return descriptor
            except CorruptArtifact as error:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                if fetched:
                    raise
                log.warning("fetching again what the local cache holds damaged: %s", error)

    def _fetch(self, path: Path, wanted: "_Wanted") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._make_room(wanted.size)
        staging = path.parent / f"{STAGING_PREFIX}{secrets.token_hex(8)}"
        staging.mkdir()  # a folder, because the download keeps files of its own beside its target
        try:
            wanted.storage.download(wanted.key, staging / "object")
            (staging / "object").rename(path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        """Remove entries nobody uses, the longest unused first, until `size` more bytes fit into the bound."""
        with _locked(self.directory / "room.lock"):
            self._remove_abandoned()
            entries = self._entries_by_age()
            total = sum(used for _, used in entries)
            for path, used in entries:
                if total + size <= self.max_bytes:
                    return
                if _remove_unless_used(path):
                    total -= used

    def _entries_by_age(self) -> list[tuple[Path, int]]:
        """Entries with their sizes in bytes, the longest unused first."""
        found = []
        for path in (self.directory / "entries").iterdir():
            # Another process may remove an entry meanwhile that it found damaged.
            with suppress(FileNotFoundError):
                if not path.name.startswith(STAGING_PREFIX):
                    status = path.stat()
                    found.append((status.st_mtime, path, status.st_size))
        return [(path, size) for _, path, size in sorted(found)]

    def _remove_abandoned(self) -> None:
        before = time.time() - ABANDONED_SECONDS
        for path in (self.directory / "entries").glob(f"{STAGING_PREFIX}*"):
            if path.stat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An object and the content it must have."""

    storage: Storage
    key: str
    size: int
    sha256: str

    @property
    def uri(self) -> str:
        return self.storage.uri_of(self.key)


@contextmanager
def _reporting(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StorageFull(
                f"no space left in the cache {directory}: free space, or set XDG_CACHE_HOME to a larger disk"
            ) from error
        raise StorageUnavailable(
            f"cannot use the cache {directory} ({error.strerror}): check its mode, or set XDG_CACHE_HOME"
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_held(path: Path) -> bool:
    with _held_lock:
        if path not in _held or not path.exists():
            return False
        _held[path] = _held.pop(path)
        return True


def _hold(path: Path, descriptor: int) -> None:
    """Keep the lock until the process ends, or until it has asked for many others."""
    with _held_lock:
        given_up = [_held.pop(path)] if path in _held else []
        _held[path] = descriptor
        while len(_held) > MAX_HELD:
            given_up.append(_held.pop(next(iter(_held))))
    for each in given_up:
        os.close(each)


def _shared_lock(path: Path) -> int | None:
    """A descriptor of the entry with a shared lock on it, or None if there is no entry."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except FileNotFoundError:
        pass
    os.close(descriptor)  # it was removed while this process waited for the lock
    return None


def _remove_unless_used(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
