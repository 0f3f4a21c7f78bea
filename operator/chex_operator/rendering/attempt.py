"""What is to be run once: everything that rendering needs to know."""

from dataclasses import dataclass
from typing import Any, Protocol

from chex_api.run_policy import RunPolicy
from chex_api.runtime import Pool, RuntimeSpec

PREFLIGHT = "preflight"


@dataclass(frozen=True)
class JobReference:
    """The `ChexTrainingJob` that owns every object of an attempt."""

    namespace: str
    name: str
    uid: str
    generation: int


@dataclass(frozen=True)
class AttemptReference:
    """Which attempt: all that names and labels are made of.

    Attributes:
        job: the owner.
        kind: of the stage, or `preflight`.
        name: of the stage; empty for a preflight.
        identity: of the stage; of a preflight, what identifies the manifest that it looks at.
        number: 1 for the first attempt at this identity; never used twice.
    """

    job: JobReference
    kind: str
    name: str
    identity: str
    number: int


class Runnable(Protocol):
    """What attempts at stages and preflights have in common."""

    @property
    def reference(self) -> AttemptReference:
        """Which attempt."""
        ...

    @property
    def runtime(self) -> RuntimeSpec:
        """What it runs on."""
        ...

    @property
    def policy(self) -> RunPolicy:
        """Queue, priority and deadlines."""
        ...


@dataclass(frozen=True)
class WorkerGroup:
    """Ray workers of one pool."""

    pool: Pool
    count: int


@dataclass(frozen=True)
class Attempt:
    """One attempt at a stage.

    Attributes:
        reference: which attempt.
        document: the stage's spec that the entry point is given, as the plan froze it: JSON of a `chex_api.stage.StageSpec`.
        runtime: the snapshot that the plan froze.
        policy: queue, priority and deadlines.
        workers: beside the head; None where the stage needs the head alone.
    """

    reference: AttemptReference
    document: str
    runtime: RuntimeSpec
    policy: RunPolicy
    workers: WorkerGroup | None


@dataclass(frozen=True)
class Preflight:
    """One look at sources and storage, on a CPU, before any GPU is asked for.

    Attributes:
        job: the owner.
        manifest: the job as it is to be looked at, in its plain form, without status.
        identity: what identifies it.
        number: 1 for the first one; never used twice.
        runtime: what it runs on.
        policy: queue, priority and deadlines.
    """

    job: JobReference
    manifest: dict[str, Any]
    identity: str
    number: int
    runtime: RuntimeSpec
    policy: RunPolicy

    @property
    def reference(self) -> AttemptReference:
        return AttemptReference(self.job, PREFLIGHT, "", self.identity, self.number)
