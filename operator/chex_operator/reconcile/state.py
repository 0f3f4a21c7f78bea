"""The state of one pass: what is observed, and what is decided so far."""

from dataclasses import dataclass, field

from chex_api.run_policy import RunPolicy
from chex_api.stage import StageResult
from chex_api.status import JobStatus, StageStatus, SupersededAttempt
from chex_operator.reconcile.actions import Action, EventRequest
from chex_operator.rendering import PREFLIGHT
from chex_operator.rules.admission import Accepted
from chex_operator.rules.observed import Observed
from chex_operator.rules.reasons import Reason
from chex_operator.rules.stage_state import LIVE_STATES
from chex_operator.rules.termination import holds_machines


@dataclass(slots=True, kw_only=True)
class ReconcileState:
    """The steps of a pass change this in turn. It has slots: a step cannot add a field.

    Attributes:
        observed: what the pass looks at.
        now: seconds since the epoch.
        status: as it was last written.
        accepted: the manifest, if it can be run.
        policy: its run policy, also where it is refused; the default one where that cannot be read.
        is_new_generation: whether the manifest was edited since the last status.
        stages: the preflight first, then the plan's order.
        plan_name: ConfigMap of the plan that is executed; empty for none.
        earlier_gpu_seconds: of stages that left the plan.
        superseded: their attempts that have not ended.
        results: of stages that finished in this pass.
        actions: what is to be done, in order.
        events: Kubernetes events to record.
    """

    observed: Observed
    now: float
    status: JobStatus
    accepted: Accepted | None
    policy: RunPolicy
    is_new_generation: bool
    stages: list[StageStatus]
    plan_name: str
    earlier_gpu_seconds: float
    superseded: list[SupersededAttempt]
    results: dict[str, StageResult] = field(default_factory=dict[str, StageResult])
    actions: list[Action] = field(default_factory=list[Action])
    events: list[EventRequest] = field(default_factory=list[EventRequest])

    @classmethod
    def of(cls, observed: Observed, now: float) -> "ReconcileState":
        """The state before the first step."""
        status, judgement = observed.status, observed.judgement
        return cls(
            observed=observed,
            now=now,
            status=status,
            accepted=judgement if isinstance(judgement, Accepted) else None,
            policy=judgement.policy or RunPolicy(),
            is_new_generation=status.observed_generation != observed.job.generation,
            stages=list(status.stages),
            plan_name=status.plan,
            earlier_gpu_seconds=float(status.earlier_gpu_seconds),
            superseded=list(status.superseded),
        )

    def preflight(self) -> StageStatus | None:
        """The preflight; None before there is one."""
        return self.stages[0] if self.stages and self.stages[0].name == PREFLIGHT else None

    def has_plan(self, identity: str) -> bool:
        """Whether the stages are those of this manifest, and can continue."""
        preflight = self.preflight()
        if preflight is None or preflight.identity != identity or len(self.stages) < 2:
            return False
        plan = self.observed.plan
        named = plan is not None and plan.name == self.plan_name and plan.identity == identity
        return named or (self._was_planned(identity) and self.all_finished())

    def _was_planned(self, identity: str) -> bool:
        """Whether the last status has the stages of this manifest; its plan may be gone by now, as it is some time after the end."""
        first = self.status.stages[0] if self.status.stages else None
        return first is not None and (first.state, first.identity) == ("Finished", identity)

    def own_stages(self) -> list[StageStatus]:
        """The stages of the current manifest: until an edited one has its plan, the others belong to the manifest before."""
        if self.accepted is None or self.has_plan(self.accepted.identity):
            return self.stages
        return self.stages[:1]

    def all_finished(self) -> bool:
        """Whether all stages of the plan are finished."""
        return len(self.stages) > 1 and all(stage.state == "Finished" for stage in self.stages[1:])

    def is_over(self) -> bool:
        """Whether the status holds the end of this very manifest: only an edit starts it again."""
        return self.status.completion_time is not None and not self.is_new_generation

    def is_complete(self) -> bool:
        """Whether every stage of the manifest is finished."""
        return self.accepted is not None and self.has_plan(self.accepted.identity) and self.all_finished()

    def any_live(self) -> bool:
        """Whether an attempt is live, according to the stages."""
        return any(stage.state in LIVE_STATES for stage in self.stages)

    def busy(self) -> bool:
        """Whether anything of the job may still use machines."""
        return holds_machines(self.observed, {*self.observed.attempt_objects, *self.observed.pods}, self.now)


def is_unknown(stage: StageStatus) -> bool:
    """Whether its last attempt succeeded and reported no result."""
    return stage.state == "Waiting" and stage.reason == Reason.RESULT_UNKNOWN
