"""The exceptions of this package. Foreign ones (OSError, botocore, pydantic, safetensors) end at its edge.

    ArtifactError
    ├── InvalidLocation        a URI or key that is not legal, or settings under which its storage cannot be used
    ├── ObjectNotFound         nothing is stored under this key
    ├── StorageDenied          missing or insufficient credentials
    ├── StorageFull            no space, or a quota is used up
    ├── StorageUnavailable     no answer, or still an error after all retries
    └── CorruptArtifact        stored bytes are not what the manifest or commit record says
        └── IdentityMismatch   a sound manifest of another piece of work

Every message says what failed, at which URI, and what to do. None holds a credential.
"""


class ArtifactError(Exception):
    """Base of all failures of artifact storage."""


class InvalidLocation(ArtifactError, ValueError):
    """A URI or a key that is not legal (unknown scheme, `..`, absolute key, credentials in the URI), or settings that do not fit.

    No waiting mends it: another region, an endpoint without a scheme, a certificate that is not trusted, a server that knows no
    conditional writes.
    """


class ObjectNotFound(ArtifactError):
    """Nothing is stored under the key that was read."""


class StorageDenied(ArtifactError):
    """The storage refused the credentials, or none were found."""


class StorageFull(ArtifactError):
    """The storage has no space left, or the writer's quota is used up."""


class StorageUnavailable(ArtifactError):
    """The storage gave no answer, or went on failing through all retries."""


class CorruptArtifact(ArtifactError):
    """Stored bytes differ from what the manifest or commit record that lists them promises."""


class IdentityMismatch(CorruptArtifact):
    """A manifest that is sound but belongs to other work: same directory, another identity."""
