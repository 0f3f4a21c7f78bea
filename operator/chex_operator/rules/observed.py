"""What a pass over one job knows: the job, its frozen plan, and whatever there is of its attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chex_api.attempt import PreflightResult
from chex_api.stage import StageProgress, StageResult
from chex_api.status import JobStatus
from chex_operator.rendering import JobReference
from chex_operator.rules.admission import Judgement
from chex_operator.rules.frozen_plan import FrozenPlan
from chex_operator.rules.outcome import PodProblem, RayJobState, Told


@dataclass(frozen=True)
class Run:
    """The RayJob of an attempt, or the Job of a preflight.

    Attributes:
        name: the attempt's name.
        uid: so that no other object of this name is deleted in its place.
        state: in KubeRay's words; a Job's are translated.
        deleting: whether it is on its way out.
        admitted_at: seconds since the epoch at which a Job was last allowed to make Pods; None while it waits in a queue.
        ended_at: seconds since the epoch at which it ended; None while it has not.
    """

    name: str
    uid: str
    is_preflight: bool
    state: RayJobState
    deleting: bool = False
    admitted_at: float | None = None
    ended_at: float | None = None


def end_of(run: Run | None, now: float) -> float:
    """When a run ended, in seconds since the epoch; `now` where that is not known. Never later: nobody may have looked for hours."""
    return min(now, (run.ended_at if run is not None else None) or now)


@dataclass(frozen=True)
class Notes:
    """The ConfigMap by which driver and operator speak.

    Attributes:
        uid: of the ConfigMap.
        stop_since: seconds since the epoch at which the operator asked for a stop; None: it did not.
    """

    uid: str
    is_preflight: bool = False
    told: Told = field(default_factory=Told)
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
        deleting_since: seconds since the epoch; None while nobody deleted it.
        alive: its containers run, or may yet.
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
    """Everything that `decide` looks at.

    Attributes:
        job: the job; its generation is that of the spec that was judged.
        judgement: whether its spec can be run, and on what.
        status: as it was last written.
        deleting_since: seconds since the epoch; None while nobody deleted the job.
        has_finalizer: whether the job's end waits for us.
        plan: the frozen plan that `status.plan` names; None where there is none.
        runs: RayJobs and Jobs, by the attempt's name.
        notes: ConfigMaps of attempts, by the attempt's name.
        pods: Pods, by the attempt's name; also those that went since the last pass and that something befell.
    """

    job: JobReference
    judgement: Judgement
    status: JobStatus
    deleting_since: float | None = None
    has_finalizer: bool = False
    plan: FrozenPlan | None = None
    runs: Mapping[str, Run] = field(default_factory=dict[str, Run])
    notes: Mapping[str, Notes] = field(default_factory=dict[str, Notes])
    pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict[str, tuple[Pod, ...]])

    def pools(self) -> dict[str, str]:
        """The pool of each stage of the plan, by the stage's name; empty without a plan."""
        return {stage.label: stage.pool for stage in self.plan.stages} if self.plan is not None else {}
