"""What a pass over one job looks at: the job, its frozen plan, and the objects of its attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chex_api.attempt import PreflightResult
from chex_api.stage import StageProgress, StageResult
from chex_api.status import JobStatus
from chex_operator.rendering import JobReference
from chex_operator.rules.admission import Judgement
from chex_operator.rules.frozen_plan import FrozenPlan
from chex_operator.rules.outcome import DriverReport, PodProblem, RayJobState


@dataclass(frozen=True)
class AttemptObject:
    """The RayJob of an attempt, or the Job of a preflight.

    Attributes:
        name: the attempt's name.
        uid: guards against deleting another object of the same name.
        state: in KubeRay's words; a Job's are translated.
        deleting: whether it has a deletion timestamp.
        admitted_at: seconds since the epoch at which a Job was last allowed to create Pods; None while it is queued.
        ended_at: seconds since the epoch at which it ended; None while it has not.
    """

    name: str
    uid: str
    is_preflight: bool
    state: RayJobState
    deleting: bool = False
    admitted_at: float | None = None
    ended_at: float | None = None


def end_of(attempt_object: AttemptObject | None, now: float) -> float:
    """When an attempt ended, in seconds since the epoch; `now` where that is unknown. Never in the future."""
    return min(now, (attempt_object.ended_at if attempt_object is not None else None) or now)


@dataclass(frozen=True)
class ProgressRecord:
    """The ConfigMap through which driver and operator communicate.

    Attributes:
        uid: of the ConfigMap.
        driver_report: what the driver wrote about the end of its attempt.
        stop_since: seconds since the epoch at which the operator requested a stop; None if it did not.
    """

    uid: str
    is_preflight: bool = False
    driver_report: DriverReport = field(default_factory=DriverReport)
    progress: StageProgress | None = None
    result: StageResult | None = None
    preflight: PreflightResult | None = None
    stop_since: float | None = None


@dataclass(frozen=True)
class Pod:
    """A Pod of an attempt.

    Attributes:
        role: `head` or `worker` of a Ray cluster, else empty.
        scheduled_at: seconds since the epoch; None while it has no node.
        deleting_since: seconds since the epoch; None if it is not being deleted.
        alive: its containers run, or may still.
    """

    name: str
    attempt: str
    role: str
    alive: bool
    ready: bool = False
    scheduled_at: float | None = None
    deleting_since: float | None = None
    problem: PodProblem | None = None


@dataclass(frozen=True)
class Observed:
    """Everything that `reconcile.decide` looks at.

    Attributes:
        job: the job; its generation is that of the spec that was judged.
        judgement: whether its spec can be run, and on what.
        status: as it was last written.
        deleting_since: seconds since the epoch; None if the job is not being deleted.
        has_finalizer: whether the job's deletion waits for us.
        plan: the frozen plan that `status.plan` names; None where there is none.
        attempt_objects: RayJobs and Jobs, by the attempt's name.
        progress_records: ConfigMaps of attempts, by the attempt's name.
        pods: Pods, by the attempt's name; includes failed and disrupted ones that disappeared since the last pass.
    """

    job: JobReference
    judgement: Judgement
    status: JobStatus
    deleting_since: float | None = None
    has_finalizer: bool = False
    plan: FrozenPlan | None = None
    attempt_objects: Mapping[str, AttemptObject] = field(default_factory=dict[str, AttemptObject])
    progress_records: Mapping[str, ProgressRecord] = field(default_factory=dict[str, ProgressRecord])
    pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict[str, tuple[Pod, ...]])

    def pools(self) -> dict[str, str]:
        """The pool of each stage of the plan, by the stage's name; empty without a plan."""
        return {stage.label: stage.pool for stage in self.plan.stages} if self.plan is not None else {}
