"""Local copies of S3 objects, shared by all processes of a machine and bounded in size.

    <XDG_CACHE_HOME or ~/.cache>/chexdragon/artifacts/
        entries/<name>     a file, named by its SHA-256, or a folder, named by the digest of its listing
        locks/<xx>.lock    held while an entry whose name begins with xx is fetched
        room.lock          held while entries are removed

Whoever uses an entry holds a shared lock on it until its process ends; an entry is removed only by one who
gets the exclusive lock. So nothing vanishes between being asked for and being opened, whatever is fetched
beside it.
"""

import fcntl
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chex_jobs.artifacts.disk import is_full
from chex_jobs.artifacts.errors import CorruptArtifact, ObjectNotFound, StorageFull, StorageUnavailable
from chex_jobs.artifacts.file_storage import FileStorage
from chex_jobs.artifacts.hashing import check_file, sha256_of
from chex_jobs.artifacts.location import STAGING_PREFIX, Location
from chex_jobs.artifacts.storage import ObjectInfo, Storage, open_storage

log = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 64 * 1024**3
MAX_BYTES_VARIABLE = "CHEX_CACHE_MAX_BYTES"
ABANDONED_SECONDS = 24 * 3600.0  # a download that has not ended after a day was killed

_held: dict[Path, int] = {}
"""Entries this process uses, with the descriptor whose shared lock says so."""
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


def local_copy(uri: str) -> Path:
    """A local path with what lies at any URI, an object or a folder: in place, or from the cache.

    A copy is fetched again when sizes or ETags have changed. Raises `ObjectNotFound` where there is nothing.
    """
    location = Location.parse(uri)
    if location.scheme == "file":
        if not location.directory.exists():
            raise ObjectNotFound(f"nothing is stored at {location.uri}")
        return location.directory
    cache = LocalCache.of_environment()
    storage = open_storage(uri)
    objects = list(storage.list())
    if objects:
        return cache.folder(storage, objects)
    above, _, name = location.uri.rpartition("/")
    beside = open_storage(above)
    return cache.folder(beside, [beside.info(name)]) / name


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
        max_bytes = int(os.environ.get(MAX_BYTES_VARIABLE) or DEFAULT_MAX_BYTES)
        return cls(home / "chexdragon" / "artifacts", max_bytes)

    def file(self, storage: Storage, key: str, size: int, sha256: str) -> Path:
        """The cached file with this SHA-256, fetched and checked if it is not there."""

        def check(path: Path) -> None:
            check_file(path, size, sha256, storage.uri_of(key))

        return self._entry(sha256, size, lambda path: storage.download(key, path), check)

    def folder(self, storage: Storage, objects: list[ObjectInfo]) -> Path:
        """The cached folder with these objects, fetched if it is not there. Sizes are checked."""
        listing = "\n".join([storage.uri, *(f"{found.key} {found.size} {found.etag}" for found in objects)])

        def fetch(path: Path) -> None:
            for found in objects:
                target = path / found.key
                target.parent.mkdir(parents=True, exist_ok=True)
                storage.download(found.key, target)

        def check(path: Path) -> None:
            for found in objects:
                if not (path / found.key).is_file() or (path / found.key).stat().st_size != found.size:
                    raise CorruptArtifact(f"the local copy of {storage.uri_of(found.key)} is not whole")

        return self._entry(sha256_of(listing.encode()), sum(found.size for found in objects), fetch, check)

    def _entry(
        self, name: str, size: int, fetch: Callable[[Path], None], check: Callable[[Path], None]
    ) -> Path:
        path = self.directory / "entries" / name
        with _held_lock:
            if path in _held and path.exists():
                return path
        with _reporting(self.directory), _locked(self.directory / "locks" / f"{name[:2]}.lock"):
            descriptor = self._sound_and_held(path, size, fetch, check)
            os.utime(path)
        with _held_lock:
            _held[path] = descriptor
        return path

    def _sound_and_held(
        self, path: Path, size: int, fetch: Callable[[Path], None], check: Callable[[Path], None]
    ) -> int:
        """Fetch the entry if it is absent or damaged. Returns the descriptor whose shared lock keeps it."""
        fetched = False
        while True:
            descriptor = _shared_lock(path)
            if descriptor is None:
                self._fetch(path, size, fetch)
                fetched = True
                continue  # another process may have removed it again before it could be locked
            try:
                check(path)
                return descriptor
            except CorruptArtifact as error:
                os.close(descriptor)
                _remove(path)
                if fetched:
                    raise
                log.warning("fetching again what the local cache holds damaged: %s", error)

    def _fetch(self, path: Path, size: int, fetch: Callable[[Path], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._make_room(size)
        staging = path.parent / f"{STAGING_PREFIX}{secrets.token_hex(8)}"
        staging.mkdir()
        try:
            fetch(staging / "object")
            (staging / "object").rename(path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        """Remove entries nobody uses, the longest unused first, until `size` more bytes fit into the bound."""
        with _locked(self.directory / "room.lock"):
            self._remove_abandoned()
            entries = [
                path
                for path in (self.directory / "entries").iterdir()
                if not path.name.startswith(STAGING_PREFIX)
            ]
            used = {path: _size_of(path) for path in entries}
            total = sum(used.values())
            for path in sorted(entries, key=lambda path: path.stat().st_mtime):
                if total + size <= self.max_bytes:
                    return
                if _remove_unless_used(path):
                    total -= used[path]

    def _remove_abandoned(self) -> None:
        before = time.time() - ABANDONED_SECONDS
        for path in (self.directory / "entries").glob(f"{STAGING_PREFIX}*"):
            if path.stat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)


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
        _remove(path)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size_of(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
