"""From a manifest to its preflight, from that to a frozen plan, and from a plan to the stages of a status. Pure."""

from collections.abc import Sequence

from chex_api.attempt import PreflightResult
from chex_api.job import ChexTrainingJob
from chex_api.plan import Plan, UnresolvedDigest, make_plan
from chex_api.stage import StageResult
from chex_api.status import StageStatus
from chex_operator.reconcile.actions import DeletePlan, EventRequest, FreezePlan
from chex_operator.reconcile.state import ReconcileState
from chex_operator.reconcile.superseded import supersede
from chex_operator.rendering import PREFLIGHT, JobReference
from chex_operator.rules import reasons
from chex_operator.rules.admission import Accepted
from chex_operator.rules.frozen_plan import FrozenPlan, freeze, stage_label
from chex_operator.rules.placement import NoSuchPool
from chex_operator.rules.reasons import Explanation, Reason
from chex_operator.rules.stage_state import finish, rest


def plan(state: ReconcileState) -> None:
    """Have a preflight for this manifest, and freeze the plan that follows from its result."""
    preflight = state.preflight()
    if state.accepted is None:
        return
    if state.has_plan(state.accepted.identity):
        if preflight is not None and preflight.reason == Reason.CREATION_REFUSED:
            # its plan could not be written for a while
            state.stages[0] = rest(preflight, "Finished", reasons.FINISHED)
        return
    if preflight is None or preflight.identity != state.accepted.identity:
        rest_of_stages = state.stages[1:] if preflight is not None else state.stages
        state.stages = [_new_preflight(state.accepted.identity), *rest_of_stages]
        return
    if preflight.state != "Finished":
        return
    record = state.observed.progress_records.get(preflight.attempt_name)
    if record is None or record.preflight is None:
        # Its ConfigMap was deleted: by us, some time after the job's end, or by somebody else. No fault of the preflight.
        state.stages[0] = rest(preflight, "Waiting", reasons.PREFLIGHT_RESULT_GONE)
        return
    planned = _plan_from(state.observed.job, state.accepted, record.preflight)
    if isinstance(planned, Explanation):
        state.stages[0] = rest(preflight, "Failed", planned)
        return
    _adopt(state, planned, record.preflight.finished)


def _adopt(state: ReconcileState, planned: FreezePlan, finished: dict[str, StageResult]) -> None:
    preflight, old = state.stages[0], state.stages[1:]
    found = state.observed.progress_records[preflight.attempt_name].preflight
    assert found is not None
    state.stages = _stages_of(planned.frozen, preflight, old, found)
    kept = {(stage.name, stage.identity) for stage in state.stages}
    supersede(state, (stage for stage in old if (stage.name, stage.identity) not in kept))
    state.results |= {
        stage.name: finished[stage.name]
        for stage in state.stages
        if stage.state == "Finished" and stage.name in finished
    }
    state.events.extend(
        EventRequest("Warning", "Plan", *reasons.DATA_OUTLOOK.with_details(notice=notice))
        for notice in found.notices
    )
    state.actions.append(planned)
    if state.plan_name and state.plan_name != planned.frozen.name:
        state.actions.append(DeletePlan(state.plan_name))
    state.plan_name = planned.frozen.name


def _new_preflight(identity: str) -> StageStatus:
    """The preflight of a manifest, before its first attempt."""
    return StageStatus(name=PREFLIGHT, state="Waiting", identity=identity)


def _plan_from(job: JobReference, accepted: Accepted, found: PreflightResult) -> FreezePlan | Explanation:
    """The plan that follows from what preflight found, or why none does."""
    try:
        plan = make_plan(_without_status(accepted.manifest()), found.digests)
        frozen = freeze(job, accepted.identity, plan, accepted.runtime)
    except (UnresolvedDigest, NoSuchPool) as error:
        return reasons.PLAN_FAILED.with_details(error=error)
    strangers = _strangers(plan, found)
    if strangers:
        return reasons.VERSION_MISMATCH.with_details(stages=", ".join(strangers[:4]))
    return FreezePlan(frozen, plan)


def _stages_of(
    plan: FrozenPlan, preflight: StageStatus, before: Sequence[StageStatus], found: PreflightResult
) -> list[StageStatus]:
    """The stages of a new plan. A stage with the same identity continues; a finished one is never launched."""
    known = {(stage.name, stage.identity): stage for stage in before}
    stages = [preflight]
    for planned in plan.stages:
        stage = known.get((planned.label, planned.identity)) or StageStatus(
            name=planned.label, state="Waiting", identity=planned.identity
        )
        if stage.state == "Running" and stage.reason == Reason.CREATION_REFUSED and stage.launch_time is None:
            stage = rest(stage, "Waiting")  # what was refused may be asked for differently now
        done = found.finished.get(planned.label)
        if done is not None and stage.state == "Waiting":
            stage = finish(stage, done.manifest_uri, done.manifest_sha256)
        stages.append(stage)
    return stages


def _without_status(manifest: ChexTrainingJob) -> ChexTrainingJob:
    return manifest.model_copy(update={"status": None})


def _strangers(plan: Plan, found: PreflightResult) -> list[str]:
    return [
        label for stage in plan.stages if found.identities.get(label := stage_label(stage)) != stage.identity
    ]
