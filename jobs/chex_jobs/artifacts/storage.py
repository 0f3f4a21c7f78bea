"""Storage: bytes under keys below one root, the same over a directory and over S3.

Only this interface is used by the rest of the package; artifacts, manifests and checkpoints know neither. A
storage object is cheap to open, safe to share between threads, and pickles as its URI: a Ray worker that gets
one opens its own, with its own credentials.
"""

import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from chex_jobs.artifacts.errors import ArtifactError, ObjectNotFound, StorageUnavailable
from chex_jobs.artifacts.location import Location


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object: its key below the root, its size in bytes, its ETag without quotes.

    The ETag of a file is the MD5 of its content, which is what S3 gives to an object that was put in one part. One
    that was uploaded in parts, or is encrypted with a KMS key, has another. So equal ETags say equal content, and
    different ones nothing; a new ETag under the same key says that the object was written again.
    """

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectStamp:
    """What tells a stored object from another under the same key, without reading it.

    Attributes:
        size: in bytes.
        mark: changes when the object is written again: its ETag, or the file's time of modification in ns. Marks of
            two storages do not compare.
    """

    size: int
    mark: str


class Storage(ABC):
    """Objects below one root URI. Keys are relative; `..`, absolute and empty ones raise `InvalidLocation`.

    Every method raises members of the `ArtifactError` family only.
    """

    looked_at_together = sys.maxsize
    """Keys of one call of `infos`: one listing tells of all of them."""

    def __init__(self, location: Location) -> None:
        self.location = location

    @property
    def uri(self) -> str:
        """The root, without a slash at its end."""
        return self.location.uri

    def uri_of(self, key: str) -> str:
        """The URI of one object, for messages and manifests."""
        return self.location.uri_of(key)

    @abstractmethod
    def read_bytes(self, key: str) -> bytes:
        """The whole object. Raises `ObjectNotFound`."""

    @abstractmethod
    def read_start(self, key: str, length: int) -> bytes:
        """The first `length` bytes of an object, or all of a shorter one. Raises `ObjectNotFound`."""

    @abstractmethod
    def write_bytes(self, key: str, data: bytes) -> None:
        """Store an object whole, replacing any other: readers see the old bytes or the new, never a part."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store an object unless there is one: True if these bytes were stored, False if the key was taken.

        Of any number of concurrent writers exactly one gets True.
        """

    @abstractmethod
    def staged(self, key: str) -> AbstractContextManager[Path]:
        """A local path to write to; it becomes the object when the block ends without an exception."""

    @abstractmethod
    def upload(self, key: str, path: Path) -> None:
        """Store a local file whole, in parts and in parallel where that is faster."""

    @abstractmethod
    def download(self, key: str, path: Path) -> None:
        """Write an object to a local path, whose directory exists. Raises `ObjectNotFound`."""

    @abstractmethod
    def list(self, folder: str = "") -> Iterator[ObjectInfo]:
        """All objects below a folder, at any depth, in the byte order of their keys.

        Over files this reads them all, for their ETags.
        """

    @abstractmethod
    def stamps(self, folder: str = "") -> dict[str, ObjectStamp]:
        """Keys below a folder and what tells their contents apart, from the listing alone: no object is read."""

    @abstractmethod
    def infos(
        self, keys: Collection[str], on_looked_at: Callable[[int], None] = lambda _: None
    ) -> dict[str, ObjectInfo]:
        """Size and ETag of those of the keys that are there, and of nothing beside them. Illegal keys are not there.

        Over files each is read once and its ETag remembered from then on (`chex_jobs.artifacts.file_hashes`).

        Args:
            keys: what to look at.
            on_looked_at: called with the number of keys looked at so far.
        """

    @abstractmethod
    def folders(self, folder: str = "") -> tuple[str, ...]:
        """Names of the folders in a folder, sorted; what lies in them is not listed."""

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Keys below a folder and their sizes in bytes: `list` without the cost of ETags."""
        return {key: stamp.size for key, stamp in self.stamps(folder).items()}

    @abstractmethod
    def info(self, key: str) -> ObjectInfo:
        """Size and ETag of one object. Raises `ObjectNotFound`."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; none there is no error."""

    def exists(self, key: str) -> bool:
        """Whether an object is stored under exactly this key."""
        try:
            self.info(key)
        except ObjectNotFound:
            return False
        return True

    def honours_put_if_absent(self) -> bool:
        """Whether the second of two `If-None-Match: *` puts is refused, as one-winner manifests need.

        Preflight asks this once: some S3-compatible servers accept the header and overwrite all the same. Raises the first
        error that is met.
        """
        key = f"chex-probe-{secrets.token_hex(8)}"
        try:
            first = self.put_if_absent(key, b"first")
            second = self.put_if_absent(key, b"second")
            honoured = first and not second and self.read_bytes(key) == b"first"
        except StorageUnavailable:
            raise  # clearing away would only wait once more
        except ArtifactError:
            with suppress(ArtifactError):  # what went wrong first is what is told
                self.delete(key)
            raise
        self.delete(key)
        return honoured

    def __reduce__(self) -> tuple[object, tuple[Location]]:
        return type(self), (self.location,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"
