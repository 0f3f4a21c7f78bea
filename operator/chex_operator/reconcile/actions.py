"""What `decide` can ask for. `act` carries it out; carrying it out twice does no harm."""

from dataclasses import dataclass
from typing import Literal

from chex_api.plan import Plan
from chex_api.run_policy import RunPolicy
from chex_operator.rendering import Preflight
from chex_operator.rules.frozen_plan import FrozenPlan, PlannedStage


@dataclass(frozen=True)
class AddFinalizer:
    """From now on the job's end waits until its attempts have stopped."""


@dataclass(frozen=True)
class RemoveFinalizer:
    """Nothing of the job holds a machine any more."""


@dataclass(frozen=True)
class StartPreflight:
    """Apply what a preflight needs and create its Job."""

    preflight: Preflight


@dataclass(frozen=True)
class StartStage:
    """Apply what an attempt needs and create its RayJob."""

    plan: FrozenPlan
    stage: PlannedStage
    number: int
    workers: int
    policy: RunPolicy


@dataclass(frozen=True)
class FreezePlan:
    """Write the plan to ConfigMaps that cannot be changed; the index last."""

    frozen: FrozenPlan
    plan: Plan


@dataclass(frozen=True)
class DeletePlan:
    """Remove the ConfigMaps of a plan that a newer one replaced."""

    name: str


@dataclass(frozen=True)
class RequestStop:
    """Ask the driver of an attempt to stop with a checkpoint."""

    attempt: str
    why: str


@dataclass(frozen=True)
class DeleteRun:
    """Delete the RayJob or Job, and with it every Pod of the attempt."""

    attempt: str
    uid: str
    is_preflight: bool


@dataclass(frozen=True)
class DeleteSupport:
    """Delete what belonged to an attempt whose run is gone; its ConfigMap of notes last."""

    attempt: str
    is_preflight: bool


Action = (
    AddFinalizer
    | RemoveFinalizer
    | StartPreflight
    | StartStage
    | FreezePlan
    | DeletePlan
    | RequestStop
    | DeleteRun
    | DeleteSupport
)
NEEDS_THE_JOB_AS_IT_IS = (
    StartPreflight,
    StartStage,
    RemoveFinalizer,
    DeletePlan,
    RequestStop,
    DeleteRun,
    DeleteSupport,
)
"""Not done on the word of a cache alone: the job is read once more before."""


@dataclass(frozen=True)
class Notice:
    """An event to record."""

    kind: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str
