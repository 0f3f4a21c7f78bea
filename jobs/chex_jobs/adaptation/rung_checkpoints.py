"""Checkpoints of units: those that only save time within a sweep, and their end."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chex_jobs.artifacts import Artifact, Checkpoint, CheckpointStore


@dataclass(frozen=True)
class RungCheckpoints:
    """Goes on from the end of one rung and stores the end of the next; both are optional.

    A trial that was killed within a rung starts that rung again: the scores of its epochs live in memory until then.
    """

    resume_from: CheckpointStore | None
    save_to: CheckpointStore | None

    def save(self, step: int, files: Mapping[str, Path | bytes], metadata: Mapping[str, Any]) -> object:
        """See `chex_jobs.training.checkpoints.CheckpointStore`."""
        return None if self.save_to is None else self.save_to.save(step, files, metadata)

    def latest(self) -> Checkpoint | None:
        """The end of the rung before; None where it was not worth storing, or is gone."""
        return None if self.resume_from is None else self.resume_from.latest()


def remove_checkpoints(artifact: Artifact) -> None:
    """Delete the checkpoints of all attempts at an artifact. They are in no manifest: nothing that is finished reads them."""
    inside = [key for key in artifact.storage.sizes(f"{artifact.folder}/attempts") if "/checkpoints/" in key]
    # Records first: files without a record are nothing, a record without files is a damaged checkpoint.
    for key in sorted(inside, key=lambda key: not key.endswith(".json")):
        artifact.storage.delete(key)
