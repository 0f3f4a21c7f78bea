"""What is cleared away: objects of former attempts, Pods that outlive their attempt, and all of it some time after the end. Pure."""

from chex_operator.reconcile.actions import DeletePlan, DeleteRun, DeleteSupport
from chex_operator.reconcile.state import Course
from chex_operator.reconcile.stop import stop_attempt
from chex_operator.rules.termination import is_live, outlives_its_end
from chex_operator.rules.timestamps import seconds_of


def clean_up(course: Course) -> None:
    """Stop and delete what is no stage's newest attempt, and stop what is to stop."""
    _clear_leftovers(course)
    _clear_stages(course)


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


def _clear_leftovers(course: Course) -> None:
    """Attempts of which there is something, and that are no stage's newest."""
    observed = course.observed
    newest = {stage.attempt_name for stage in course.stages}
    for name in sorted({*observed.runs, *observed.notes} - newest):
        run, notes = observed.runs.get(name), observed.notes.get(name)
        if run is None:
            is_preflight = notes is not None and notes.is_preflight
            course.actions.append(DeleteSupport(name, is_preflight))
        elif is_live(run):
            course.actions += stop_attempt(run, notes, "Superseded", course.now)
        elif not run.deleting:
            course.actions.append(DeleteRun(name, run.uid, run.is_preflight))


def _clear_stages(course: Course) -> None:
    """Newest attempts that are to stop, and ended ones whose Pods are still there."""
    observed = course.observed
    for stage in course.stages:
        run = observed.runs.get(stage.attempt_name)
        if run is None or stage.state == "Running":
            continue
        if is_live(run):
            why = stage.reason if stage.state == "Stopping" else "Superseded"
            course.actions += stop_attempt(run, observed.notes.get(stage.attempt_name), why, course.now)
        elif outlives_its_end(observed, run, stage, course.now) and not run.deleting:
            course.actions.append(DeleteRun(run.name, run.uid, run.is_preflight))
