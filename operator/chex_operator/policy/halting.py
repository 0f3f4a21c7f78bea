"""What is stopped when a job is halted, and what goes some time after its end. Pure."""

from chex_operator.policy.actions import DeletePlan, DeleteRun, DeleteSupport
from chex_operator.policy.course import Course, is_unknown
from chex_operator.policy.lifecycle import LIVE_STATES, rest
from chex_operator.policy.limits import Halt
from chex_operator.policy.moments import seconds_of


def halt_all(course: Course, halt: Halt) -> None:
    """Every attempt is to stop with a checkpoint; what waits, waits for the job to go on."""
    for index, stage in enumerate(course.stages):
        if stage.state not in LIVE_STATES:
            if stage.state == "Waiting" and not halt.final and not is_unknown(stage):
                course.stages[index] = rest(stage, "Suspended", halt.reason)
            continue
        course.stages[index] = stage.model_copy(
            update={"state": "Stopping", "reason": halt.reason, "message": "stops with a checkpoint"}
        )


def expire(course: Course) -> None:
    """Some time after the end the job's objects go; its artifacts and the job itself stay."""
    ttl, ended = course.policy.ttl_seconds_after_finished, seconds_of(course.status.completion_time)
    if ttl is None or ended is None or course.now < ended + ttl:
        return
    known = {action.attempt for action in course.actions if isinstance(action, DeleteRun | DeleteSupport)}
    for run in course.observed.runs.values():
        if run.name not in known and not run.deleting:
            course.actions.append(DeleteRun(run.name, run.uid, run.is_preflight))
    for name, notes in course.observed.notes.items():
        if name not in known and name not in course.observed.runs:
            course.actions.append(DeleteSupport(name, notes.is_preflight))
    if course.observed.plan is not None:
        course.actions.append(DeletePlan(course.observed.plan.name))
