"""Storage in a local or shared directory.

Every write goes to a staging file beside its target, is flushed to the disk, and takes its name in one step,
so that after a crash, of the process or of the machine, an object is there whole or not at all. A crash can
leave a staging file behind; no listing shows it.
"""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path

from chex_jobs.artifacts.disk import is_full
from chex_jobs.artifacts.errors import (
    ArtifactError,
    ObjectNotFound,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
)
from chex_jobs.artifacts.file_hashes import md5_of_files
from chex_jobs.artifacts.location import STAGING_PREFIX, checked_folder, checked_key, is_legal
from chex_jobs.artifacts.storage import ObjectInfo, ObjectStamp, Storage

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FileStorage(Storage):
    """Objects are files below a directory, which is created by the first write."""

    looked_at_together = 8192
    """Each is looked at by itself."""

    def read_bytes(self, key: str) -> bytes:
        with self._reporting(key, "read"):
            return self.path(key).read_bytes()

    def read_start(self, key: str, length: int) -> bytes:
        with self._reporting(key, "read"), self.path(key).open("rb") as file:
            return file.read(length)

    def write_bytes(self, key: str, data: bytes) -> None:
        with self.staged(key) as path:
            path.write_bytes(data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        target = self.path(key)
        with self._reporting(key, "write"), _staging_file(target) as staging:
            staging.write_bytes(data)
            _flush(staging)
            return self._linked(key, staging, target)

    @contextmanager
    def staged(self, key: str) -> Iterator[Path]:
        target = self.path(key)
        with ExitStack() as stack:
            with self._reporting(key, "write"):
                staging = stack.enter_context(_staging_file(target))
            with self._caller_writes(key):
                yield staging
            with self._reporting(key, "write"):
                _flush(staging)
                staging.replace(target)
                _flush(target.parent)

    def upload(self, key: str, path: Path) -> None:
        with self.staged(key) as staging:
            shutil.copyfile(path, staging)

    def download(self, key: str, path: Path) -> None:
        with self._reporting(key, "read"):
            shutil.copyfile(self.path(key), path)

    def list(self, folder: str = "") -> Iterator[ObjectInfo]:
        return (self.info(key) for key in self._keys(folder))

    def stamps(self, folder: str = "") -> dict[str, ObjectStamp]:
        found = {}
        for key in self._keys(folder):
            try:
                status = self.path(key).stat()
            except _ABSENT:
                continue  # deleted since the directory was read: as if it had been listed later
            found[key] = ObjectStamp(status.st_size, str(status.st_mtime_ns))
        return found

    def infos(
        self, keys: Collection[str], on_looked_at: Callable[[int], None] = lambda _: None
    ) -> dict[str, ObjectInfo]:
        paths = {key: self.path(key) for key in keys if is_legal(key)}
        with self._reporting("", "read"):
            found = md5_of_files(paths, on_looked_at)
        return {key: ObjectInfo(key, size, md5) for key, (size, md5) in found.items()}

    def folders(self, folder: str = "") -> tuple[str, ...]:
        directory = self.location.directory / checked_folder(folder)
        if not directory.is_dir():
            return ()
        with self._reporting("", "read"):
            return tuple(sorted(path.name for path in directory.iterdir() if path.is_dir()))

    def info(self, key: str) -> ObjectInfo:
        with self._reporting(key, "read"), self.path(key).open("rb") as file:
            return ObjectInfo(key, os.fstat(file.fileno()).st_size, _md5_of(file))

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()  # no need to read it all for its ETag

    def delete(self, key: str) -> None:
        path = self.path(key)
        with self._reporting(key, "delete"):
            path.unlink(missing_ok=True)
            self._remove_empty(path.parent)

    def path(self, key: str) -> Path:
        """Where an object lies or would lie. Raises `InvalidLocation` for a key that is not legal."""
        return self.location.directory / checked_key(key)

    def _linked(self, key: str, staging: Path, target: Path) -> bool:
        """Give a flushed staging file its name unless that is taken, in one step as a hard link can."""
        try:
            os.link(staging, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            raise StorageUnavailable(
                f"{self.uri_of(key)}: this file system has no hard links, which one-winner writes need; "
                "choose a directory on a local disk or NFS, or an s3:// location"
            ) from error
        _flush(target.parent)
        return True

    def _keys(self, folder: str) -> Iterator[str]:
        prefix = checked_folder(folder)
        root = self.location.directory / prefix
        if not root.is_dir():
            return iter(())
        return _walk(root, prefix, ())

    def _remove_empty(self, directory: Path) -> None:
        """Remove directories that a deletion left empty, up to the root: S3 has no empty folders either."""
        while directory != self.location.directory and self.location.directory in directory.parents:
            try:
                directory.rmdir()
            except OSError:
                return
            directory = directory.parent

    @contextmanager
    def _reporting(self, key: str, act: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if act == "read" and isinstance(error, _ABSENT):
                raise ObjectNotFound(f"nothing is stored at {self.uri_of(key)}") from error
            raise self._translated(error, key, act) from error

    @contextmanager
    def _caller_writes(self, key: str) -> Iterator[None]:
        """Report a full disk met by whoever writes to the staging file; their other errors are their own."""
        try:
            yield
        except OSError as error:
            if is_full(error):
                raise self._translated(error, key, "write") from error
            raise

    def _translated(self, error: OSError, key: str, act: str) -> ArtifactError:
        where = self.uri_of(key)
        if is_full(error):
            return StorageFull(
                f"no space left to {act} {where} ({error.strerror}): free space or raise the quota, then run the "
                "same command again; finished stages and committed checkpoints are kept"
            )
        if error.errno in _DENIED:
            return StorageDenied(
                f"not allowed to {act} {where} ({error.strerror}): check owner and mode of {self.uri}"
            )
        return StorageUnavailable(
            f"cannot {act} {where} ({error.strerror}): check that {self.uri} is mounted and sound"
        )


@contextmanager
def _staging_file(target: Path) -> Iterator[Path]:
    """A new, empty file beside `target`; gone when the block ends, unless it was renamed."""
    staging = target.parent / f"{STAGING_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
    _create(staging)
    try:
        yield staging
    finally:
        staging.unlink(missing_ok=True)


def _md5_of(file: BufferedReader) -> str:
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _create(path: Path) -> None:
    # A concurrent deletion may remove the directory, empty for a moment, between the two calls.
    for _ in range(16):
        _make_directory(path.parent)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return
        except FileNotFoundError:
            continue
    raise StorageUnavailable(f"cannot create files in {path.parent}: it vanishes again and again")


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    if directory.parent != directory:
        _make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    _flush(directory.parent)


def _flush(path: Path) -> None:
    """Call fsync on a file, or a directory so that a new name in it outlives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk(directory: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Keys below a directory in byte order; links are followed, but not into a directory that holds them."""
    status = directory.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(directory) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(STAGING_PREFIX)]
    for entry in sorted(shown, key=_key_order):
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*above, here))
        elif entry.is_file():
            yield prefix + entry.name


def _key_order(entry: os.DirEntry[str]) -> bytes:
    """Bytes that sort entries of a directory as the keys they begin: `a.txt` comes before what is in `a/`."""
    return os.fsencode(entry.name + ("/" if entry.is_dir() else ""))
