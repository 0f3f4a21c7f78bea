"""Kubernetes events: what started, what ended, and why something did not. Pure."""

from chex_api.status import JobStatus, StageStatus
from chex_operator.reconcile.actions import EventRequest
from chex_operator.reconcile.state import ReconcileState
from chex_operator.rules import reasons


def request_events(state: ReconcileState, status: JobStatus) -> None:
    """Request events for what is new in this status."""
    _request_stage_events(state, {stage.name: stage for stage in state.status.stages})
    _request_condition_events(state, status)


def _request_stage_events(state: ReconcileState, before: dict[str, StageStatus]) -> None:
    for stage in state.stages:
        old = before.get(stage.name)
        if old is not None and (old.state, old.attempt) == (stage.state, stage.attempt):
            continue
        event = _stage_event(stage)
        if event is not None and (old is None or old.state != stage.state):
            state.events.append(event)


def _request_condition_events(state: ReconcileState, status: JobStatus) -> None:
    held = {condition.type: condition.status for condition in state.status.conditions}
    for condition in status.conditions:
        if held.get(condition.type) == condition.status:
            continue
        now = (condition.type, condition.status)
        if now == ("Complete", "True"):
            state.events.append(EventRequest("Normal", "Finish", *reasons.JOB_COMPLETED))
        elif now == ("Failed", "True"):
            state.events.append(EventRequest("Warning", "Stop", condition.reason, condition.message))
        elif now == ("Valid", "False"):
            state.events.append(EventRequest("Warning", "Validate", condition.reason, condition.message))


def _stage_event(stage: StageStatus) -> EventRequest | None:
    why = stage.message or stage.reason
    if stage.state == "Running":
        started = reasons.STAGE_STARTED.with_details(stage=stage.name, attempt=stage.attempt)
        return EventRequest("Normal", "StartAttempt", *started)
    if stage.state == "Finished":
        return EventRequest("Normal", "FinishStage", *reasons.STAGE_FINISHED.with_details(stage=stage.name))
    if stage.state == "Failed":
        return EventRequest(
            "Warning", "GiveUp", *reasons.STAGE_FAILED.with_details(stage=stage.name, why=why)
        )
    if stage.state == "Waiting" and stage.attempt and stage.reason:
        return EventRequest(
            "Warning", "Retry", *reasons.ATTEMPT_FAILED.with_details(stage=stage.name, why=why)
        )
    return None
