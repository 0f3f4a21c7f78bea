"""When the next pass over a job is due though nothing happens. Pure."""

from chex_operator.reconcile.state import ReconcileState
from chex_operator.rules import limits
from chex_operator.rules.reasons import Reason
from chex_operator.rules.timestamps import seconds_of

RUNNING_SECONDS = 60.0
"""Between two passes over a running job: its ETA and GPU-hours change."""
STOPPING_SECONDS = 5.0
SHORTEST_SECONDS = 0.5


def requeue_after(state: ReconcileState, *, ended: bool) -> float | None:
    """Seconds until something is due without a watch event; None for never."""
    delays: list[float] = []
    if ended:
        ttl = state.policy.ttl_seconds_after_finished
        completed = seconds_of(state.status.completion_time)
        if ttl is not None and (
            state.observed.attempt_objects or state.observed.progress_records or state.observed.plan
        ):
            left = (completed if completed is not None else state.now) + ttl - state.now
            # What is being deleted goes with a watch event.
            delays.append(left if left > 0.0 else RUNNING_SECONDS)
    else:
        delays += [
            due - state.now
            for stage in state.stages
            # A stage that still waits after its time waits for something else, which comes with a watch event.
            if stage.state == "Waiting" and (due := seconds_of(stage.not_before) or 0.0) > state.now
        ]
        deadline = state.policy.active_deadline_seconds
        if deadline is not None and state.status.active_since is not None:  # else its clock stands still
            left = deadline - limits.active_seconds(state.status, state.now)
            delays += [left] if left > 0.0 else []
        if state.stages and state.stages[0].reason == Reason.CREATION_REFUSED:
            delays.append(RUNNING_SECONDS)
        if state.any_live():
            stopping = any(stage.state == "Stopping" for stage in state.stages)
            delays.append(STOPPING_SECONDS if stopping else RUNNING_SECONDS)
    if state.busy() and not state.any_live():
        delays.append(STOPPING_SECONDS)
    return max(SHORTEST_SECONDS, min(delays)) if delays else None
