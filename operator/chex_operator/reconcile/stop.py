"""What stops: with a checkpoint where there is a driver, by deletion where there is none or it takes too long. Pure."""

from chex_operator.reconcile.actions import Action, DeleteAttemptObject, RequestStop
from chex_operator.reconcile.state import ReconcileState, is_unknown
from chex_operator.rules import reasons
from chex_operator.rules.limits import StopReason
from chex_operator.rules.observed import AttemptObject, ProgressRecord
from chex_operator.rules.reasons import Explanation
from chex_operator.rules.stage_state import LIVE_STATES, rest
from chex_operator.rules.termination import has_driver, is_overdue


def stop_all(state: ReconcileState, stop_reason: StopReason) -> None:
    """Stop every attempt with a checkpoint; suspend stages that wait until the job resumes."""
    for index, stage in enumerate(state.stages):
        if stage.state not in LIVE_STATES:
            if stage.state == "Waiting" and not stop_reason.final and not is_unknown(stage):
                state.stages[index] = rest(stage, "Suspended", Explanation(stop_reason.reason))
            continue
        state.stages[index] = stage.model_copy(
            update={
                "state": "Stopping",
                "reason": stop_reason.reason,
                "message": reasons.STOPS_WITH_CHECKPOINT,
            }
        )


def stop_attempt(
    attempt_object: AttemptObject, record: ProgressRecord | None, why: str, now: float
) -> list[Action]:
    """The actions that bring a live attempt to its end."""
    if attempt_object.deleting:
        return []
    if record is None or not has_driver(attempt_object, record) or is_overdue(record, now):
        return [DeleteAttemptObject.of(attempt_object)]
    return [RequestStop(attempt_object.name, why)] if record.stop_since is None else []
