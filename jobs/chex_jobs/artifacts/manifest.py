"""Manifests: the documents whose presence says that a piece of work is finished, and what it left.

`manifest.json` is written last, put-if-absent. It lists every file with size and SHA-256, and it names the
attempt that wrote each: one attempt can take over files that an earlier one finished.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, NonNegativeInt, StringConstraints, TypeAdapter, ValidationError

from chex_jobs.artifacts.errors import CorruptArtifact, IdentityMismatch
from chex_jobs.artifacts.hashing import sha256_of
from chex_jobs.artifacts.location import checked_key
from chex_jobs.artifacts.sealed_json import seal, unseal

T = TypeVar("T")

MANIFEST_SCHEMA = "chexdragon.dev/artifact-manifest/v1"
MANIFEST_NAME = "manifest.json"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Key = Annotated[str, AfterValidator(checked_key)]
AttemptId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One finished file: its path in the artifact, the attempt that wrote it, size in bytes, SHA-256.

    `shared` is the key, below the storage's root, of a file that another finished artifact of the storage holds and this
    one lists too; empty: the attempt's own file.
    """

    path: Key
    attempt: AttemptId
    size: NonNegativeInt
    sha256: Sha256
    shared: Key | Literal[""] = ""

    @property
    def key(self) -> str:
        """Where the attempt's own file lies below the artifact's folder."""
        return f"{attempt_folder(self.attempt)}/{self.path}"

    def key_below(self, folder: str) -> str:
        """Where it lies below the storage's root, given its artifact's folder there."""
        return self.shared or f"{folder}/{self.key}".lstrip("/")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one finished piece of work is, came from and left.

    `parents` are the identities of what it read, by name; `summary` is the result in plain JSON;
    `environment` says on what it was computed, and never enters an identity; `committed_at` is UTC, ISO 8601.
    `identified` is what the identity is the digest of, as far as the artifact is a stage: what a later plan compares with.
    """

    schema: Literal["chexdragon.dev/artifact-manifest/v1"]
    kind: str
    name: str
    identity: Sha256
    attempt: AttemptId
    committed_at: str
    parents: dict[str, Sha256]
    files: tuple[FileRecord, ...]
    summary: dict[str, Any]
    environment: dict[str, Any]
    identified: dict[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The bytes of `manifest.json`, sealed."""
        return seal(asdict(self))

    @classmethod
    def decode(cls, data: bytes, uri: str) -> "Manifest":
        """Read `manifest.json`. Raises `CorruptArtifact`, naming what is wrong; `uri` is for the message."""
        manifest = validated(_MANIFESTS, unseal(data, uri), uri)
        paths = [record.path for record in manifest.files]
        if len(set(paths)) != len(paths):
            raise CorruptArtifact(f"{uri} lists a file twice")
        return manifest

    def check_is(self, kind: str, name: str, identity: str, uri: str) -> None:
        """Raise `IdentityMismatch` unless the manifest is of this very work."""
        for member, wanted in (("identity", identity), ("kind", kind), ("name", name)):
            found = getattr(self, member)
            if found != wanted:
                raise IdentityMismatch(
                    f"{uri} has {member} {found!r} where {wanted!r} is wanted: the folder was copied or renamed "
                    "by hand; move it away, or choose another artifacts.uri"
                )


_MANIFESTS = TypeAdapter(Manifest)


def attempt_folder(attempt: str) -> str:
    """Where an attempt's files lie below its artifact's folder."""
    return f"attempts/{attempt}"


def record_of(path: str, attempt: str, data: bytes) -> FileRecord:
    """The record of a file with this content."""
    return FileRecord(path, attempt, len(data), sha256_of(data))


def now_iso() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def validated(adapter: "TypeAdapter[T]", plain: dict[str, Any], uri: str) -> T:
    """Plain JSON as the type of the adapter. Raises `CorruptArtifact`, naming the first faults."""
    try:
        return adapter.validate_python(plain)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3]
        )
        raise CorruptArtifact(f"{uri} is not of the schema this version reads: {faults}") from error
