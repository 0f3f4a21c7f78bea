"""When a job may go: at once while nothing of it runs, else when its attempts have stopped with a checkpoint, bounded. Pure."""

from chex_operator.reconcile.actions import DeleteRun, Notice, RemoveFinalizer
from chex_operator.reconcile.state import Course
from chex_operator.reconcile.stop import stop_attempt
from chex_operator.rules.termination import is_live

DELETION_SECONDS = 420.0
"""The job's end waits no longer than this for its attempts: a finalizer that nobody removes blocks a namespace."""


def release_finalizer(course: Course, *, ended: bool) -> None:
    """A job of which nothing runs or is about to run holds up nobody: not its deletion, nor that of its namespace or of the CRD."""
    if ended and course.observed.has_finalizer and not course.busy():
        course.actions.append(RemoveFinalizer())


def delete_job(course: Course, since: float) -> None:
    """What is to be done about a job that was deleted at `since`, in seconds since the epoch."""
    if not course.observed.has_finalizer:
        return
    live = [run for run in course.observed.runs.values() if is_live(run)]
    if not course.busy():
        course.actions.append(RemoveFinalizer())
    elif course.now - since >= DELETION_SECONDS:
        course.actions += [DeleteRun(run.name, run.uid, run.is_preflight) for run in live]
        course.actions.append(RemoveFinalizer())
        note = (
            f"its attempts did not end within {DELETION_SECONDS:g} s; look for Pods of this job that are left"
        )
        course.notices.append(Notice("Warning", "StillRunning", "RemoveFinalizer", note))
    else:
        for run in live:
            course.actions += stop_attempt(run, course.observed.notes.get(run.name), "Deleted", course.now)
