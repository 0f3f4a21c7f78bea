"""The finalizer: a job may go at once while nothing of it runs, else once its attempts have stopped, within a limit. Pure."""

from chex_operator.reconcile.actions import DeleteAttemptObject, EventRequest, RemoveFinalizer
from chex_operator.reconcile.state import ReconcileState
from chex_operator.reconcile.stop import stop_attempt
from chex_operator.rules import reasons
from chex_operator.rules.reasons import Reason
from chex_operator.rules.termination import is_live

DELETION_SECONDS = 420.0
"""A deletion waits no longer than this for the job's attempts: a finalizer that nobody removes blocks a namespace."""


def release_finalizer(state: ReconcileState, *, ended: bool) -> None:
    """Remove the finalizer once nothing runs or is about to: neither the job's deletion nor its namespace's or the CRD's waits."""
    if ended and state.observed.has_finalizer and not state.busy():
        state.actions.append(RemoveFinalizer())


def stop_deleted_job(state: ReconcileState, since: float) -> None:
    """Stop the attempts of a job that was deleted at `since`, in seconds since the epoch."""
    if not state.observed.has_finalizer:
        return
    live = [each for each in state.observed.attempt_objects.values() if is_live(each)]
    if not state.busy():
        state.actions.append(RemoveFinalizer())
    elif state.now - since >= DELETION_SECONDS:
        state.actions += [DeleteAttemptObject.of(each) for each in live]
        state.actions.append(RemoveFinalizer())
        explanation = reasons.STILL_RUNNING.with_details(seconds=DELETION_SECONDS)
        state.events.append(EventRequest("Warning", "RemoveFinalizer", *explanation))
    else:
        for each in live:
            record = state.observed.progress_records.get(each.name)
            state.actions += stop_attempt(each, record, Reason.DELETED, state.now)
