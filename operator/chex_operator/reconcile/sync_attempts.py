"""Brings stages up to what is observed of their attempts. Pure."""

from chex_api.status import StageStatus
from chex_operator.reconcile.actions import DeletePlan
from chex_operator.reconcile.state import ReconcileState, is_unknown
from chex_operator.rules import reasons
from chex_operator.rules.outcome import End, Outcome
from chex_operator.rules.stage_state import (
    LIVE_STATES,
    AttemptObservation,
    advance,
    fail_or_retry,
    finish,
    rest,
)


def sync_attempts(state: ReconcileState) -> None:
    """Bring every stage up to what is observed of its attempt."""
    state.stages = [_advanced(state, stage) for stage in state.stages]
    if state.is_new_generation:
        _repeat_preflight_after_failure(state)
        state.stages = [_revived(stage) for stage in state.stages]
    _resolve_unknown_results(state)


def _repeat_preflight_after_failure(state: ReconcileState) -> None:
    """Faulty data may have been corrected, which makes them another input: a preflight runs first, and a new plan follows."""
    preflight = state.preflight()
    if preflight is not None and any(stage.state == "Failed" for stage in state.stages[1:]):
        state.stages[0] = rest(preflight, "Waiting")
        _drop_plan(state)


def _drop_plan(state: ReconcileState) -> None:
    """The stages continue by the next plan."""
    if state.plan_name:
        state.actions.append(DeletePlan(state.plan_name))
        state.plan_name = ""


def _revived(stage: StageStatus) -> StageStatus:
    """An edited manifest resets what failed and what waits for a retry."""
    if stage.state == "Failed":
        stage = rest(stage, "Waiting")
    if stage.state in ("Waiting", "Suspended"):
        stage = stage.model_copy(update={"failures": 0, "disruptions": 0, "not_before": None})
    return stage


def _advanced(state: ReconcileState, stage: StageStatus) -> StageStatus:
    observed, name = state.observed, stage.attempt_name
    record = observed.progress_records.get(name)
    observation = AttemptObservation(observed.attempt_objects.get(name), record, observed.pods.get(name, ()))
    advanced = advance(stage, observation, state.policy, state.now)
    if advanced.state == "Finished" and stage.state != "Finished" and record is not None and record.result:
        state.results[stage.name] = record.result
    return advanced


def _resolve_unknown_results(state: ReconcileState) -> None:
    """For a stage that succeeded without reporting a result, a preflight looks up the result; it is never guessed."""
    unknown = [stage for stage in state.stages[1:] if is_unknown(stage)]
    preflight = state.preflight()
    if not unknown or preflight is None:
        return
    ended_now = preflight.state == "Finished" and state.status.stages[0].state in LIVE_STATES
    record = state.observed.progress_records.get(preflight.attempt_name)
    if not (ended_now and record is not None and record.preflight is not None):
        if preflight.state == "Finished":
            state.stages[0] = rest(preflight, "Waiting", reasons.LOOKS_FOR_RESULTS)
        return
    if any(record.preflight.identities.get(stage.name) != stage.identity for stage in unknown):
        # The data have changed, and results of that name with them: a new plan follows.
        _drop_plan(state)
        return
    for index, stage in enumerate(state.stages):
        if not is_unknown(stage):
            continue
        done = record.preflight.finished.get(stage.name)
        if done is not None:
            state.results[stage.name] = done
            state.stages[index] = finish(stage, done.manifest_uri, done.manifest_sha256)
        else:
            no_manifest = Outcome(End.FAILED, *reasons.NO_MANIFEST)
            state.stages[index] = fail_or_retry(
                stage, no_manifest, state.policy, progressed=False, now=state.now
            )
