"""The artifact store: where stages and objects of one job lie, finished or not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chex_jobs.artifacts.attempt import AttemptWriter
from chex_jobs.artifacts.checkpoints import CHECKPOINTS
from chex_jobs.artifacts.errors import CorruptArtifact, InvalidLocation, ObjectNotFound
from chex_jobs.artifacts.finished import FinishedArtifact
from chex_jobs.artifacts.hashing import sha256_of
from chex_jobs.artifacts.manifest import MANIFEST_NAME, Manifest
from chex_jobs.artifacts.storage import Storage, open_storage

STAGES = "stages"

_IDENTITY = re.compile(r"[0-9a-f]{64}")
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

    def attempt(self, attempt_id: str) -> AttemptWriter:
        """Begin, or go on with, the attempt of this id: letters, digits, `.`, `_`, `-`. Writes nothing yet."""
        return AttemptWriter(self, _checked_word("attempt id", attempt_id))

    def remove_checkpoints(self) -> None:
        """Delete the checkpoints of all attempts. They are in no manifest: nothing that is finished reads them."""
        inside = [key for key in self.storage.sizes(f"{self.folder}/attempts") if f"/{CHECKPOINTS}/" in key]
        # Records first: files without a record are nothing, a record without files is a damaged checkpoint.
        for key in sorted(inside, key=lambda key: not key.endswith(".json")):
            self.storage.delete(key)


@dataclass(frozen=True)
class ArtifactStore:
    """The artifacts below one URI. Pickles; each process uses its own connection and credentials."""

    storage: Storage

    @classmethod
    def open(cls, uri: str) -> "ArtifactStore":
        """Open `file:///dir` or `s3://bucket/prefix`. Contacts nothing yet. Raises `InvalidLocation`."""
        return cls(open_storage(uri))

    @property
    def uri(self) -> str:
        """The root, without a slash at its end."""
        return self.storage.uri

    def stage(
        self, kind: str, name: str, identity: str, identified: Mapping[str, Any] | None = None
    ) -> Artifact:
        """A stage of a plan: `stages/<kind>-<name>-<identity12>/`. `identity` is 64 hex digits, of `identified`."""
        _checked_word("stage kind", kind)
        _checked_word("stage name", name)
        folder = f"{STAGES}/{kind}-{name}-{_short(identity)}"
        return Artifact(self.storage, folder, kind, name, identity, identified or {})

    def finished_stages(self, kind: str, name: str | None = None) -> list[FinishedArtifact]:
        """The finished stages of a kind, and of a name, whatever their identity; the newest first.

        What is damaged counts as not there: this is for what may be taken over or compared, never for what is read.
        """
        wanted = re.compile(rf"{kind}-{'.*' if name is None else re.escape(name)}-[0-9a-f]{{12}}")
        found = [
            done
            for folder in self.storage.folders(STAGES)
            if wanted.fullmatch(folder)
            and (done := _finished_in(self.storage, f"{STAGES}/{folder}")) is not None
        ]
        return sorted(
            (done for done in found if done.kind == kind and name in (None, done.name)),
            key=lambda done: (done.manifest.committed_at, done.identity),
            reverse=True,
        )

    def object(self, kind: str, identity: str) -> Artifact:
        """A part of a stage that is worth keeping by itself: `objects/<kind>-<identity12>/`."""
        _checked_word("object kind", kind)
        return Artifact(self.storage, f"objects/{kind}-{_short(identity)}", kind, "", identity)


def _finished_in(storage: Storage, folder: str) -> FinishedArtifact | None:
    key = f"{folder}/{MANIFEST_NAME}"
    try:
        data = storage.read_bytes(key)
        return FinishedArtifact(storage, folder, Manifest.decode(data, storage.uri_of(key)), sha256_of(data))
    except (ObjectNotFound, CorruptArtifact):
        return None


def _short(identity: str) -> str:
    if not _IDENTITY.fullmatch(identity):
        raise InvalidLocation(f"identity {identity!r} is not 64 lower-case hex digits")
    return identity[:12]


def _checked_word(what: str, word: str) -> str:
    if not _WORD.fullmatch(word):
        raise InvalidLocation(
            f"{what} {word!r} must be letters, digits, '.', '_' and '-', and begin and end with the first two"
        )
    return word
