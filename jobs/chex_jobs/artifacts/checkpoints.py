"""Checkpoints: what a killed attempt leaves for the next one.

    attempts/<attempt>/checkpoints/<step>-<token>/<file>     the files, first
    attempts/<attempt>/checkpoints/<step>-<token>.json       the commit record, last: their sizes and SHA-256

A checkpoint without a record does not exist. The token keeps two processes that write the same step of one
attempt (one of them believed dead) out of each other's files.
"""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import NonNegativeInt, StringConstraints, TypeAdapter

from chex_jobs.artifacts.cache import local_file
from chex_jobs.artifacts.errors import CorruptArtifact, IdentityMismatch, ObjectNotFound
from chex_jobs.artifacts.hashing import check_bytes, sha256_of, sha256_of_file
from chex_jobs.artifacts.location import checked_key
from chex_jobs.artifacts.manifest import AttemptId, Key, Sha256, attempt_folder, now_iso, validated
from chex_jobs.artifacts.sealed_json import seal, unseal
from chex_jobs.artifacts.storage import Storage

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
"""The folder of an attempt that belongs to this module."""

CHECKPOINT_SCHEMA = "chexdragon.dev/checkpoint-commit/v1"


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """One file of a checkpoint: its name, its size in bytes, its SHA-256."""

    name: Key
    size: NonNegativeInt
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """What makes a checkpoint's files count.

    `token` tells apart two writes of one step; `metadata` is plain JSON.
    """

    schema: Literal["chexdragon.dev/checkpoint-commit/v1"]
    identity: Sha256
    attempt: AttemptId
    step: NonNegativeInt
    token: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    committed_at: str
    files: tuple[CheckpointFile, ...]
    metadata: dict[str, Any]

    @property
    def folder(self) -> str:
        """Where its files lie below the artifact's folder; the record is beside it, with `.json` added."""
        return f"{attempt_folder(self.attempt)}/{CHECKPOINTS}/{self.step:012d}-{self.token}"


_RECORDS = TypeAdapter(CommitRecord)


@dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint. Pickles, so that a driver can choose one and its workers all read that one."""

    storage: Storage
    folder: str
    record: CommitRecord

    @property
    def step(self) -> int:
        return self.record.step

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.record.metadata

    @property
    def attempt(self) -> str:
        """The attempt that wrote it."""
        return self.record.attempt

    @cached_property
    def files(self) -> Mapping[str, CheckpointFile]:
        """Records of its files, by name."""
        return {file.name: file for file in self.record.files}

    def read_bytes(self, name: str) -> bytes:
        """A whole file, checked. Raises `CorruptArtifact`, `ObjectNotFound`."""
        file = self._file(name)
        data = self.storage.read_bytes(self._key(file))
        check_bytes(data, file.size, file.sha256, self.storage.uri_of(self._key(file)))
        return data

    def local_path(self, name: str) -> Path:
        """A local file with the content, checked; see `FinishedArtifact.local_path`."""
        file = self._file(name)
        return local_file(self.storage, self._key(file), file.size, file.sha256)

    def verify(self) -> None:
        """Check every file against the record. Raises `CorruptArtifact`, `ObjectNotFound`."""
        for name in self.files:
            self.local_path(name)

    def _file(self, name: str) -> CheckpointFile:
        if name not in self.files:
            raise ObjectNotFound(
                f"the checkpoint at step {self.step} has no file {name!r}; it has: {', '.join(self.files)}"
            )
        return self.files[name]

    def _key(self, file: CheckpointFile) -> str:
        return f"{self.folder}/{self.record.folder}/{file.name}"


@dataclass(frozen=True)
class CheckpointStore:
    """Checkpoints of one artifact: written by one attempt, read over all. Pickles.

    `folder` is the artifact's, below the storage's root. `keep_last` is how many checkpoints of its own the
    attempt keeps, 1 or more; with 2, the default, one damaged checkpoint costs the work since the one before.
    """

    storage: Storage
    folder: str
    identity: str
    attempt_id: str
    keep_last: int = 2

    def __post_init__(self) -> None:
        if self.keep_last < 1:
            raise ValueError(f"keep_last is {self.keep_last}; it must be 1 or more")

    def save(
        self, step: int, files: Mapping[str, Path | bytes], metadata: Mapping[str, Any] | None = None
    ) -> CommitRecord:
        """Store the files, then the record, then remove older checkpoints of this attempt beyond `keep_last`.

        A process killed anywhere in between leaves the earlier checkpoints as they were.
        """
        record = CommitRecord(
            schema=CHECKPOINT_SCHEMA,
            identity=self.identity,
            attempt=self.attempt_id,
            step=step,
            token=secrets.token_hex(8),
            committed_at=now_iso(),
            files=tuple(_described(name, content) for name, content in sorted(files.items())),
            metadata=dict(metadata or {}),
        )
        sealed = seal(asdict(record))  # before the upload: what is no JSON is found out at once
        for name, content in files.items():
            self._store(f"{self.folder}/{record.folder}/{name}", content)
        self.storage.write_bytes(f"{self.folder}/{record.folder}.json", sealed)
        self._prune(record)
        return record

    def latest(self) -> Checkpoint | None:
        """The checkpoint with the highest step, over all attempts, whose files are all as they were committed.

        One that is damaged, or is removed meanwhile, is passed over with a warning that names what is wrong
        with it. None if no sound one is there. A storage that cannot be read raises: it is no reason to start
        from nothing.
        """
        for key in self._record_keys("attempts"):
            try:
                checkpoint = self._read(key)
                checkpoint.verify()
                return checkpoint
            except (CorruptArtifact, ObjectNotFound) as error:
                log.warning("passing over the checkpoint %s: %s", self.storage.uri_of(key), error)
        return None

    def _read(self, key: str) -> Checkpoint:
        uri = self.storage.uri_of(key)
        record = validated(_RECORDS, unseal(self.storage.read_bytes(key), uri), uri)
        if record.identity != self.identity:
            raise IdentityMismatch(f"{uri} has identity {record.identity} where {self.identity} is wanted")
        return Checkpoint(self.storage, self.folder, record)

    def _record_keys(self, folder: str) -> list[str]:
        """Keys of commit records below a folder of the artifact, the highest step first."""
        keys = [key for key in self.storage.sizes(f"{self.folder}/{folder}") if _is_record(key)]
        return sorted(keys, key=_step_order, reverse=True)

    def _store(self, key: str, content: Path | bytes) -> None:
        if isinstance(content, bytes):
            self.storage.write_bytes(key, content)
        else:
            self.storage.upload(key, content)

    def _prune(self, saved: CommitRecord) -> None:
        """Remove own checkpoints older than the one just saved, but for the last few."""
        own = f"{attempt_folder(self.attempt_id)}/{CHECKPOINTS}"
        saved_key = f"{self.folder}/{saved.folder}.json"
        older = [
            key
            for key in self._record_keys(own)
            if key != saved_key and _step_order(key) <= _step_order(saved_key)
        ]
        for key in older[self.keep_last - 1 :]:
            self._remove(key)

    def _remove(self, record_key: str) -> None:
        # The record goes first: files without a record are nothing, a record without files is damage.
        self.storage.delete(record_key)
        for key in self.storage.sizes(record_key.removesuffix(".json")):
            self.storage.delete(key)


def _described(name: str, content: Path | bytes) -> CheckpointFile:
    checked_key(name)
    if isinstance(content, bytes):
        return CheckpointFile(name, len(content), sha256_of(content))
    return CheckpointFile(name, content.stat().st_size, sha256_of_file(content))


def _is_record(key: str) -> bool:
    parts = key.split("/")
    return len(parts) >= 2 and parts[-2] == CHECKPOINTS and parts[-1].endswith(".json")


def _step_order(record_key: str) -> int:
    return int(record_key.rpartition("/")[2].partition("-")[0])
