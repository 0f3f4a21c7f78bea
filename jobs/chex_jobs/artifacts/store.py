"""The artifact store: where stages and objects of one job lie, finished or not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chex_jobs.artifacts.artifact import Artifact, checked_word
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.errors import CorruptArtifact, InvalidLocation, ObjectNotFound
from chex_jobs.artifacts.finished import FinishedArtifact
from chex_jobs.artifacts.hashing import sha256_of
from chex_jobs.artifacts.manifest import MANIFEST_NAME, Manifest
from chex_jobs.artifacts.storage import Storage

STAGES = "stages"

_IDENTITY = re.compile(r"[0-9a-f]{64}")


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
        checked_word("stage kind", kind)
        checked_word("stage name", name)
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
        checked_word("object kind", kind)
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
