"""What is to be run once: everything that rendering needs to know."""

from dataclasses import dataclass

from chex_api.run_policy import RunPolicy
from chex_api.runtime import Pool, RuntimeSpec
from chex_api.stage import StageSpec


@dataclass(frozen=True)
class JobReference:
    """The `ChexTrainingJob` that owns every object of an attempt."""

    namespace: str
    name: str
    uid: str
    generation: int


@dataclass(frozen=True)
class WorkerGroup:
    """Ray workers of one pool."""

    pool: Pool
    count: int


@dataclass(frozen=True)
class Attempt:
    """One attempt at a stage.

    Attributes:
        job: the owner.
        stage: what the entry point is given.
        number: 1 for the first attempt at this stage; never used twice.
        runtime: the snapshot that the job's generation froze.
        policy: queue, priority and deadlines.
        workers: beside the head; None where the stage needs the head alone.
    """

    job: JobReference
    stage: StageSpec
    number: int
    runtime: RuntimeSpec
    policy: RunPolicy
    workers: WorkerGroup | None
