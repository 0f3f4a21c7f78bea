"""Artifacts: what a job leaves, in a directory or in S3, written so that a crash can never pass for a result.

Here belong storage, manifests, attempts, checkpoints, the local cache and tensor files. What the files mean
does not: this package knows neither stages nor models.

    errors        the exceptions, as one tree
    location      storage URIs and keys
    storage       the interface; file_storage and s3_storage implement it, backends opens the one of a URI
    manifest      what makes a piece of work finished
    store         ArtifactStore: where work lies
    artifact      Artifact and AttemptWriter: a piece of work, writing and committing it
    finished      FinishedArtifact: reading what was committed
    checkpoints   CheckpointStore: what a killed attempt leaves for the next
    cache         local copies of S3 objects
    tensors       safetensors files
"""

from chex_jobs.artifacts.artifact import Artifact, AttemptWriter
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.checkpoints import Checkpoint, CheckpointStore, CommitRecord
from chex_jobs.artifacts.errors import (
    ArtifactError,
    CorruptArtifact,
    IdentityMismatch,
    InvalidLocation,
    ObjectNotFound,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
)
from chex_jobs.artifacts.finished import FinishedArtifact
from chex_jobs.artifacts.manifest import FileRecord
from chex_jobs.artifacts.storage import ObjectInfo, Storage
from chex_jobs.artifacts.store import ArtifactStore

__all__ = [
    "Artifact",
    "ArtifactError",
    "ArtifactStore",
    "AttemptWriter",
    "Checkpoint",
    "CheckpointStore",
    "CommitRecord",
    "CorruptArtifact",
    "FileRecord",
    "FinishedArtifact",
    "IdentityMismatch",
    "InvalidLocation",
    "ObjectInfo",
    "ObjectNotFound",
    "Storage",
    "StorageDenied",
    "StorageFull",
    "StorageUnavailable",
    "open_storage",
]
