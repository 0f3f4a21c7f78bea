"""Kubernetes events: what started, what ended, and why something did not. Pure."""

from chex_api.status import JobStatus, StageStatus
from chex_operator.reconcile.actions import EventRequest
from chex_operator.reconcile.state import ReconcileState


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
            state.events.append(EventRequest("Normal", "Complete", "Finish", "every stage is finished"))
        elif now == ("Failed", "True"):
            state.events.append(EventRequest("Warning", condition.reason, "Stop", condition.message))
        elif now == ("Valid", "False"):
            state.events.append(EventRequest("Warning", condition.reason, "Validate", condition.message))


def _stage_event(stage: StageStatus) -> EventRequest | None:
    about = f"{stage.name}: {stage.message or stage.reason}"
    if stage.state == "Running":
        return EventRequest(
            "Normal", "StageStarted", "StartAttempt", f"{stage.name}: attempt {stage.attempt}"
        )
    if stage.state == "Finished":
        return EventRequest("Normal", "StageFinished", "FinishStage", f"{stage.name} is finished")
    if stage.state == "Failed":
        return EventRequest("Warning", "StageFailed", "GiveUp", about)
    if stage.state == "Waiting" and stage.attempt and stage.reason:
        return EventRequest("Warning", "AttemptFailed", "Retry", about)
    return None
