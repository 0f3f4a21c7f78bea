"""What is deleted: objects of former attempts, Pods that outlive their attempt, and all objects some time after the end. Pure."""

from chex_operator.reconcile.actions import DeleteAttemptObject, DeletePlan, DeleteSupport
from chex_operator.reconcile.state import ReconcileState
from chex_operator.reconcile.stop import stop_attempt
from chex_operator.rules.reasons import Reason
from chex_operator.rules.termination import is_live, outlives_its_end
from chex_operator.rules.timestamps import seconds_of


def clean_up(state: ReconcileState) -> None:
    """Stop and delete attempts that are no stage's newest, and those that must stop."""
    _clear_leftovers(state)
    _clear_stages(state)


def expire(state: ReconcileState) -> None:
    """Delete the job's objects some time after its end; its artifacts and the job itself stay."""
    ttl, ended = state.policy.ttl_seconds_after_finished, seconds_of(state.status.completion_time)
    if ttl is None or ended is None or state.now < ended + ttl:
        return
    known = {
        action.attempt for action in state.actions if isinstance(action, DeleteAttemptObject | DeleteSupport)
    }
    for attempt_object in state.observed.attempt_objects.values():
        if attempt_object.name not in known and not attempt_object.deleting:
            state.actions.append(DeleteAttemptObject.of(attempt_object))
    for name, record in state.observed.progress_records.items():
        if name not in known and name not in state.observed.attempt_objects:
            state.actions.append(DeleteSupport(name, record.is_preflight))
    if state.observed.plan is not None:
        state.actions.append(DeletePlan(state.observed.plan.name))


def _clear_leftovers(state: ReconcileState) -> None:
    """Stop and delete attempts that are no stage's newest."""
    observed = state.observed
    newest = {stage.attempt_name for stage in state.stages}
    for name in sorted({*observed.attempt_objects, *observed.progress_records} - newest):
        attempt_object, record = observed.attempt_objects.get(name), observed.progress_records.get(name)
        if attempt_object is None:
            is_preflight = record is not None and record.is_preflight
            state.actions.append(DeleteSupport(name, is_preflight))
        elif is_live(attempt_object):
            state.actions += stop_attempt(attempt_object, record, Reason.SUPERSEDED, state.now)
        elif not attempt_object.deleting:
            state.actions.append(DeleteAttemptObject.of(attempt_object))


def _clear_stages(state: ReconcileState) -> None:
    """Stop the newest attempts that must stop, and delete ended ones whose Pods are still there."""
    observed = state.observed
    for stage in state.stages:
        attempt_object = observed.attempt_objects.get(stage.attempt_name)
        if attempt_object is None or stage.state == "Running":
            continue
        if is_live(attempt_object):
            why = stage.reason if stage.state == "Stopping" else Reason.SUPERSEDED
            state.actions += stop_attempt(
                attempt_object, observed.progress_records.get(stage.attempt_name), why, state.now
            )
        elif outlives_its_end(observed, attempt_object, stage, state.now) and not attempt_object.deleting:
            state.actions.append(DeleteAttemptObject.of(attempt_object))
