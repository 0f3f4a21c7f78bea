"""One pass: from what is observed to actions and a status. Pure, and therefore tested with random histories.

The status of a finished job does not change until its manifest is edited; only its objects are cleared away.

The order of a pass: running attempts; the plan; whether the job stops; what is stopped and cleared away; what starts; the
finalizer; the status. Nothing is inferred from what is missing in a cache: an attempt is written into the status first, and its
RayJob is created in the pass that reads it there.
"""

from dataclasses import dataclass

from chex_api.status import JobStatus
from chex_operator.reconcile.actions import Action, EventRequest
from chex_operator.reconcile.cleanup import clean_up, expire
from chex_operator.reconcile.deletion import release_finalizer, stop_deleted_job
from chex_operator.reconcile.events import request_events
from chex_operator.reconcile.planning import plan
from chex_operator.reconcile.requeue import STOPPING_SECONDS, requeue_after
from chex_operator.reconcile.start import start_what_is_due
from chex_operator.reconcile.state import ReconcileState
from chex_operator.reconcile.status import job_state_of, status_of
from chex_operator.reconcile.stop import stop_all
from chex_operator.reconcile.superseded import settle_superseded
from chex_operator.reconcile.sync_attempts import sync_attempts
from chex_operator.rules.limits import stop_reason_of
from chex_operator.rules.observed import Observed


@dataclass(frozen=True)
class Decision:
    """What a pass asks for.

    Attributes:
        actions: in order.
        status: after the pass.
        requeue_after: seconds until something is due without a watch event; None for never.
        events: Kubernetes events to record.
    """

    actions: tuple[Action, ...]
    status: JobStatus
    requeue_after: float | None = None
    events: tuple[EventRequest, ...] = ()


def decide(observed: Observed, now: float) -> Decision:
    """What to do about a job, and its status after that.

    Args:
        observed: see there.
        now: seconds since the epoch.
    """
    state = ReconcileState.of(observed, now)
    if observed.deleting_since is not None:
        stop_deleted_job(state, observed.deleting_since)
        stopping = observed.status.model_copy(update={"phase": "Stopping", "eta": ""})
        return _decision(state, stopping if observed.has_finalizer else observed.status, STOPPING_SECONDS)
    if state.is_over():
        clean_up(state)
        expire(state)
        release_finalizer(state, ended=True)
        return _decision(state, observed.status, requeue_after(state, ended=True))
    sync_attempts(state)
    settle_superseded(state)
    plan(state)
    complete = state.is_complete()
    stop_reason = None
    if not complete:
        stop_reason = stop_reason_of(state.status, state.stages, state.own_stages(), state.policy, now)
    if stop_reason is not None:
        stop_all(state, stop_reason)
    clean_up(state)
    if stop_reason is None and state.accepted is not None and not complete:
        start_what_is_due(state, state.accepted)
    job_state = job_state_of(state, stop_reason, complete=complete)
    release_finalizer(state, ended=job_state.ended or job_state.stopped)
    status = status_of(state, job_state)
    request_events(state, status)
    return _decision(state, status, requeue_after(state, ended=job_state.ended))


def _decision(state: ReconcileState, status: JobStatus, seconds: float | None) -> Decision:
    return Decision(tuple(state.actions), status, seconds, tuple(state.events))
