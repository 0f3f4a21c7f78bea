"""What `decide` can ask for. `controller.apply` carries it out; carrying it out twice does no harm."""

from dataclasses import dataclass
from typing import Literal

from chex_api.plan import Plan
from chex_api.run_policy import RunPolicy
from chex_operator.rendering import Preflight
from chex_operator.rules.frozen_plan import FrozenPlan, PlannedStage
from chex_operator.rules.observed import AttemptObject


@dataclass(frozen=True)
class AddFinalizer:
    """From now on the job's deletion waits until its attempts have stopped."""


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
    """Write the plan to immutable ConfigMaps; the index last."""

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
class DeleteAttemptObject:
    """Delete the RayJob or Job, and with it every Pod of the attempt."""

    attempt: str
    uid: str
    is_preflight: bool

    @classmethod
    def of(cls, attempt_object: AttemptObject) -> "DeleteAttemptObject":
        return cls(attempt_object.name, attempt_object.uid, attempt_object.is_preflight)


@dataclass(frozen=True)
class DeleteSupport:
    """Delete what belonged to an attempt whose RayJob or Job is gone; its progress ConfigMap last."""

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
    | DeleteAttemptObject
    | DeleteSupport
)
NEEDS_THE_JOB_AS_IT_IS = (
    StartPreflight,
    StartStage,
    RemoveFinalizer,
    DeletePlan,
    RequestStop,
    DeleteAttemptObject,
    DeleteSupport,
)
"""Never done by a cache alone: the job is read from the API server first."""


@dataclass(frozen=True)
class EventRequest:
    """A Kubernetes event to record about the job."""

    type: Literal["Normal", "Warning"]
    action: str
    reason: str
    note: str
