"""One piece of work, the attempts at it, the files that they write, and the commit that finishes it."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chex_jobs.artifacts.checkpoints import CHECKPOINTS, CheckpointStore
from chex_jobs.artifacts.errors import ArtifactError, InvalidLocation, ObjectNotFound
from chex_jobs.artifacts.finished import FinishedArtifact
from chex_jobs.artifacts.hashing import sha256_of, sha256_of_file
from chex_jobs.artifacts.location import checked_key
from chex_jobs.artifacts.manifest import (
    MANIFEST_NAME,
    MANIFEST_SCHEMA,
    FileRecord,
    Manifest,
    attempt_folder,
    now_iso,
    record_of,
)
from chex_jobs.artifacts.sealed_json import json_bytes
from chex_jobs.artifacts.storage import Storage
from chex_jobs.artifacts.tensors import save_tensors

if TYPE_CHECKING:
    from chex_jobs.artifacts.tensors import Tensors

log = logging.getLogger(__name__)

_WORD = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Artifact:
    """One piece of work, by its identity: perhaps finished, perhaps begun, perhaps neither. Pickles."""

    storage: Storage
    folder: str
    kind: str
    name: str
    identity: str
    identified: Mapping[str, Any] = field(default_factory=dict)
    """What the identity is the digest of, for the manifest to keep; empty for an object."""

    @property
    def uri(self) -> str:
        """Its folder."""
        return self.storage.uri_of(self.folder)

    @property
    def manifest_key(self) -> str:
        """Key of its manifest below the storage's root."""
        return f"{self.folder}/{MANIFEST_NAME}"

    @property
    def manifest_uri(self) -> str:
        return self.storage.uri_of(self.manifest_key)

    def finished(self) -> FinishedArtifact | None:
        """The finished artifact, or None if it has no manifest. One small read; files are checked when read.

        Raises `CorruptArtifact` for a manifest that is damaged, `IdentityMismatch` for one of other work.
        """
        try:
            data = self.storage.read_bytes(self.manifest_key)
        except ObjectNotFound:
            return None
        manifest = Manifest.decode(data, self.manifest_uri)
        manifest.check_is(self.kind, self.name, self.identity, self.manifest_uri)
        return FinishedArtifact(self.storage, self.folder, manifest, sha256_of(data))

    def attempt(self, attempt_id: str) -> "AttemptWriter":
        """Begin, or go on with, the attempt of this id: letters, digits, `.`, `_`, `-`. Writes nothing yet."""
        return AttemptWriter(self, checked_word("attempt id", attempt_id))

    def remove_checkpoints(self) -> None:
        """Delete the checkpoints of all attempts. They are in no manifest: nothing that is finished reads them."""
        inside = [key for key in self.storage.sizes(f"{self.folder}/attempts") if f"/{CHECKPOINTS}/" in key]
        # Records first: files without a record are nothing, a record without files is a damaged checkpoint.
        for key in sorted(inside, key=lambda key: not key.endswith(".json")):
            self.storage.delete(key)


@dataclass(frozen=True)
class AttemptWriter:
    """Writes files below `attempts/<attempt_id>/` and, last, the manifest that makes them count.

    Each writing method records its file for the manifest and returns the record. Pickles: a worker in another
    process writes with its copy and hands its records back, for the committing process to `adopt`.
    """

    artifact: Artifact
    attempt_id: str
    _records: dict[str, FileRecord] = field(default_factory=dict, repr=False)

    @property
    def uri(self) -> str:
        """The attempt's folder."""
        return self.artifact.storage.uri_of(self._folder)

    @cached_property
    def checkpoints(self) -> CheckpointStore:
        """Checkpoints: saved by this attempt, found over all attempts at the same artifact."""
        artifact = self.artifact
        return CheckpointStore(artifact.storage, artifact.folder, artifact.identity, self.attempt_id)

    def write_bytes(self, path: str, data: bytes) -> FileRecord:
        """Write a whole file, replacing any other of this attempt at that path."""
        self.artifact.storage.write_bytes(self._key(path), data)
        return self.adopt(record_of(path, self.attempt_id, data))

    def write_json(self, path: str, plain: object) -> FileRecord:
        """Write plain data as readable JSON: equal data gives equal bytes. NaN and infinity are refused."""
        return self.write_bytes(path, json_bytes(plain))

    def upload(self, path: str, local: Path) -> FileRecord:
        """Write a copy of a local file, which must not change meanwhile."""
        record = self._record_of_file(path, local)
        self.artifact.storage.upload(self._key(path), local)
        return self.adopt(record)

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        """A local path to write a large file to, stored and recorded when the block ends without an exception.

        Over `file:` it lies beside its target, so that nothing is copied.
        """
        with self.artifact.storage.staged(self._key(path)) as local:
            yield local
            record = self._record_of_file(path, local)
        self.adopt(record)

    def write_safetensors(
        self, path: str, tensors: "Tensors", metadata: Mapping[str, str] | None = None
    ) -> FileRecord:
        """Write NumPy arrays or torch tensors, all of one kind; equal values give equal bytes."""
        with self.writing(path) as local:
            save_tensors(local, tensors, metadata)
        return self.record(path)

    def record(self, path: str) -> FileRecord:
        """The record of a file written or adopted before, for a worker to hand back. Raises `KeyError`."""
        return self._records[path]

    def adopt(self, record: FileRecord) -> FileRecord:
        """List in the manifest a file that another process, or an earlier attempt, has written."""
        self._records[record.path] = record
        return record

    def commit(
        self,
        summary: Mapping[str, Any],
        parents: Mapping[str, str] | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> FinishedArtifact:
        """Finish the artifact with the files recorded so far; if another attempt was first, adopt its result.

        Raises `ArtifactError` if a recorded file is not in the storage as it was written.
        """
        self._check_all_stored()
        manifest = Manifest(
            schema=MANIFEST_SCHEMA,
            kind=self.artifact.kind,
            name=self.artifact.name,
            identity=self.artifact.identity,
            attempt=self.attempt_id,
            committed_at=now_iso(),
            parents=dict(parents or {}),
            files=tuple(record for _, record in sorted(self._records.items())),
            summary=dict(summary),
            environment=dict(environment or {}),
            identified=dict(self.artifact.identified),
        )
        data = manifest.encode()
        if self.artifact.storage.put_if_absent(self.artifact.manifest_key, data):
            # Read back what was written: numbers that were keys are strings in JSON, tuples are lists.
            as_read = Manifest.decode(data, self.artifact.manifest_uri)
            return FinishedArtifact(self.artifact.storage, self.artifact.folder, as_read, sha256_of(data))
        return self._adopted()

    def _adopted(self) -> FinishedArtifact:
        winner = self.artifact.finished()
        if winner is None:
            raise ArtifactError(
                f"{self.artifact.manifest_uri} was removed while this attempt finished; run it again"
            )
        log.info("%s was finished by attempt %s first; its result is used", self.artifact.uri, winner.attempt)
        return winner

    def _check_all_stored(self) -> None:
        owners = {
            record.shared.partition("/attempts/")[0] for record in self._records.values() if record.shared
        }
        sizes: dict[str, int] = {}
        for folder in (self.artifact.folder, *sorted(owners)):
            sizes |= self.artifact.storage.sizes(f"{folder}/attempts")
        for record in self._records.values():
            key = record.key_below(self.artifact.folder)
            if sizes.get(key) != record.size:
                found = f"has {sizes[key]} bytes" if key in sizes else "is not there"
                raise ArtifactError(
                    f"cannot finish {self.artifact.uri}: {self.artifact.storage.uri_of(key)} {found} where "
                    f"{record.size} were written; something else changes this folder"
                )

    def _record_of_file(self, path: str, local: Path) -> FileRecord:
        return FileRecord(path, self.attempt_id, local.stat().st_size, sha256_of_file(local))

    @property
    def _folder(self) -> str:
        return f"{self.artifact.folder}/{attempt_folder(self.attempt_id)}"

    def _key(self, path: str) -> str:
        if checked_key(path).partition("/")[0] == CHECKPOINTS:
            raise InvalidLocation(
                f"{path!r}: the folder {CHECKPOINTS} of an attempt is for attempt.checkpoints"
            )
        return f"{self._folder}/{path}"


def checked_word(what: str, word: str) -> str:
    """Return a word that is part of a folder's name. Raises `InvalidLocation`."""
    if not _WORD.fullmatch(word):
        raise InvalidLocation(
            f"{what} {word!r} must be letters, digits, '.', '_' and '-', and begin and end with the first two"
        )
    return word
