"""Checkpoints between the rungs of a trial: they only save time within a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chex_jobs.artifacts import Checkpoint, CheckpointStore


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
