"""What stops: with a checkpoint where there is a driver, by deletion where there is none or it takes too long. Pure."""

from chex_operator.reconcile.actions import Action, DeleteRun, RequestStop
from chex_operator.reconcile.state import Course, is_unknown
from chex_operator.rules.limits import Halt
from chex_operator.rules.observed import Notes, Run
from chex_operator.rules.stage_state import LIVE_STATES, rest
from chex_operator.rules.termination import has_driver, is_overdue


def stop_all(course: Course, halt: Halt) -> None:
    """Every attempt is to stop with a checkpoint; stages that wait are suspended until the job goes on."""
    for index, stage in enumerate(course.stages):
        if stage.state not in LIVE_STATES:
            if stage.state == "Waiting" and not halt.final and not is_unknown(stage):
                course.stages[index] = rest(stage, "Suspended", halt.reason)
            continue
        course.stages[index] = stage.model_copy(
            update={"state": "Stopping", "reason": halt.reason, "message": "stops with a checkpoint"}
        )


def stop_attempt(run: Run, notes: Notes | None, why: str, now: float) -> list[Action]:
    """What is to be done now so that a live run comes to its end."""
    if run.deleting:
        return []
    if notes is None or not has_driver(run, notes) or is_overdue(notes, now):
        return [DeleteRun(run.name, run.uid, run.is_preflight)]
    return [RequestStop(run.name, why)] if notes.stop_since is None else []
