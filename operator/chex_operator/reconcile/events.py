"""What people are told by events: what began, what ended, and why something did not. Pure."""

from chex_api.status import JobStatus, StageStatus
from chex_operator.reconcile.actions import Notice
from chex_operator.reconcile.state import Course


def notice(course: Course, told: JobStatus) -> None:
    """Note what is new in the status that is told."""
    _notice_stages(course, {stage.name: stage for stage in course.status.stages})
    _notice_conditions(course, told)


def _notice_stages(course: Course, before: dict[str, StageStatus]) -> None:
    for stage in course.stages:
        old = before.get(stage.name)
        if old is not None and (old.state, old.attempt) == (stage.state, stage.attempt):
            continue
        notice = _notice(stage)
        if notice is not None and (old is None or old.state != stage.state):
            course.notices.append(notice)


def _notice_conditions(course: Course, told: JobStatus) -> None:
    held = {condition.type: condition.status for condition in course.status.conditions}
    for condition in told.conditions:
        if held.get(condition.type) == condition.status:
            continue
        now = (condition.type, condition.status)
        if now == ("Complete", "True"):
            course.notices.append(Notice("Normal", "Complete", "Finish", "every stage is finished"))
        elif now == ("Failed", "True"):
            course.notices.append(Notice("Warning", condition.reason, "Stop", condition.message))
        elif now == ("Valid", "False"):
            course.notices.append(Notice("Warning", condition.reason, "Validate", condition.message))


def _notice(stage: StageStatus) -> Notice | None:
    about = f"{stage.name}: {stage.message or stage.reason}"
    if stage.state == "Running":
        return Notice("Normal", "StageStarted", "StartAttempt", f"{stage.name}: attempt {stage.attempt}")
    if stage.state == "Finished":
        return Notice("Normal", "StageFinished", "FinishStage", f"{stage.name} is finished")
    if stage.state == "Failed":
        return Notice("Warning", "StageFailed", "GiveUp", about)
    if stage.state == "Waiting" and stage.attempt and stage.reason:
        return Notice("Warning", "AttemptFailed", "Retry", about)
    return None
