"""What a stage may use of the machine it runs on, and how it speaks to whoever runs it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chex_api.stage import StageProgress, StageSpec
from chex_jobs.artifacts import ArtifactStore, AttemptWriter


class StageStopped(Exception):
    """The stage was asked to stop and did, at a point from which it goes on."""


@dataclass(frozen=True)
class Machine:
    """What this machine, or this attempt's cluster, has for a stage."""

    cpus: int
    gpus: int = 0

    @property
    def devices(self) -> int:
        """Workers that can run at the same time: one on each GPU, else one on each core."""
        return self.gpus or self.cpus


@dataclass(frozen=True)
class StageContext:
    """Everything about the place where a stage runs. Nothing of it may change a result."""

    store: ArtifactStore
    attempt_id: str
    machine: Machine
    on_progress: Callable[[StageProgress], None]
    locations: Mapping[str, str] = field(default_factory=dict)
    """Where the manifest's outside sources lie, by their key in the plan's digests."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the stage is to stop at its next safe point."""

    def attempt(self, spec: StageSpec) -> AttemptWriter:
        """Where the stage writes."""
        return self.store.stage(spec.kind, spec.name, spec.identity, spec.identified).attempt(self.attempt_id)

    def raise_if_stopped(self) -> None:
        """Raise `StageStopped` once a stop was asked for."""
        if self.stop.is_set():
            raise StageStopped
