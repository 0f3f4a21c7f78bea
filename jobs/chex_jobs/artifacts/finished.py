"""Finished work, read through its manifest and checked against the sizes and SHA-256 listed there."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.cache import local_file
from chex_jobs.artifacts.errors import CorruptArtifact, InvalidLocation, ObjectNotFound
from chex_jobs.artifacts.hashing import check_bytes, check_file, sha256_of
from chex_jobs.artifacts.manifest import MANIFEST_NAME, FileRecord, Manifest
from chex_jobs.artifacts.storage import Storage
from chex_jobs.artifacts.tensors import Framework, load_tensors


@dataclass(frozen=True)
class FinishedArtifact:
    """A stage or object whose manifest was read and found sound. Pickles; readers open their own storage.

    `folder` is its key below the storage's root, `manifest_sha256` the SHA-256 of the manifest's bytes, which
    pins it.
    """

    storage: Storage
    folder: str
    manifest: Manifest
    manifest_sha256: str

    @classmethod
    def open(cls, manifest_uri: str, sha256: str) -> "FinishedArtifact":
        """Open another job's artifact by the URI of its `manifest.json` and the SHA-256 of that file's bytes.

        Raises `CorruptArtifact` if the bytes there are others, `ObjectNotFound`, `InvalidLocation`.
        """
        folder_uri, _, name = manifest_uri.rpartition("/")
        if name != MANIFEST_NAME:
            raise InvalidLocation(f"{manifest_uri!r} does not end in /{MANIFEST_NAME}")
        storage = open_storage(folder_uri)
        data = storage.read_bytes(MANIFEST_NAME)
        if sha256_of(data) != sha256:
            raise CorruptArtifact(
                f"{manifest_uri} has SHA-256 {sha256_of(data)} where the job asks for {sha256}: it is another "
                "artifact; correct the sha256 if this is the one that is meant"
            )
        return cls(storage, "", Manifest.decode(data, manifest_uri), sha256)

    @property
    def uri(self) -> str:
        """The artifact's folder."""
        return self.storage.uri_of(self.folder) if self.folder else self.storage.uri

    @property
    def manifest_uri(self) -> str:
        """What `startFrom: {manifest: {uri}}` takes."""
        return f"{self.uri}/{MANIFEST_NAME}"

    @property
    def kind(self) -> str:
        return self.manifest.kind

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def identity(self) -> str:
        """64 hex digits."""
        return self.manifest.identity

    @property
    def attempt(self) -> str:
        """The attempt that won the commit."""
        return self.manifest.attempt

    @property
    def parents(self) -> Mapping[str, str]:
        """Identities of what this was made from, by name."""
        return self.manifest.parents

    @property
    def summary(self) -> Mapping[str, Any]:
        """The result, as plain JSON."""
        return self.manifest.summary

    @property
    def environment(self) -> Mapping[str, Any]:
        """What it was computed on."""
        return self.manifest.environment

    @cached_property
    def files(self) -> Mapping[str, FileRecord]:
        """Records of all files, by path."""
        return {record.path: record for record in self.manifest.files}

    def read_bytes(self, path: str) -> bytes:
        """A whole file. Raises `ObjectNotFound` if the manifest lists no such path, `CorruptArtifact`."""
        with self._listed(path) as (record, key):
            data = self.storage.read_bytes(key)
            check_bytes(data, record.size, record.sha256, self.storage.uri_of(key))
            return data

    def read_json(self, path: str) -> Any:
        """A JSON file, as plain Python."""
        return json.loads(self.read_bytes(path))

    def read_safetensors(self, path: str, framework: Framework = "numpy") -> dict[str, Any]:
        """Tensors by name: NumPy arrays, or with framework="torch" (needed for bfloat16) CPU tensors."""
        local = self.local_path(path)
        with self._listed(path) as (_, key):
            return load_tensors(local, framework, self.storage.uri_of(key))

    def uri_of(self, path: str) -> str:
        """Where a file lies: in the folder that this artifact was opened from, wherever that was copied."""
        with self._listed(path) as (_, key):
            return self.storage.uri_of(key)

    def local_path(self, path: str) -> Path:
        """A local file with the content, checked: the stored file itself, or its copy in the cache.

        Never write to it.
        """
        with self._listed(path) as (record, key):
            return local_file(self.storage, key, record.size, record.sha256)

    def copy(self, path: str, target: Path) -> None:
        """Write a checked copy of a file to a local path, whose directory exists; memory never holds the whole.

        Raises as `read_bytes`, and `OSError` if nothing can be written there.
        """
        part = target.with_name(f"{target.name}.part")
        part.touch()  # what cannot be written to is told as that, not as storage that cannot be read
        try:
            with self._listed(path) as (record, key):
                self.storage.download(key, part)
                check_file(part, record.size, record.sha256, self.storage.uri_of(key))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _listed(self, path: str) -> Iterator[tuple[FileRecord, str]]:
        """The record of a path and its key below the storage's root; a failure to read it says what to do."""
        record = self.files.get(path)
        if record is None:
            raise ObjectNotFound(f"{self.manifest_uri} lists no file {path!r}")
        try:
            yield record, record.key_below(self.folder)
        except (CorruptArtifact, ObjectNotFound) as error:
            raise CorruptArtifact(
                f"{error}; delete {self._manifests_of(record)} to have this work done again"
            ) from error

    def _manifests_of(self, record: FileRecord) -> str:
        """The manifests that list a file: its own artifact's too, from which it would be taken over again."""
        if not record.shared:
            return self.manifest_uri
        owner = record.shared.partition("/attempts/")[0]
        return f"{self.manifest_uri} and {self.storage.uri_of(f'{owner}/{MANIFEST_NAME}')}"
