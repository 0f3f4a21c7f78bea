"""One pass: from what is observed to what is to be done and told. Pure, and therefore tested with random histories.

What was told of a job's end stays as it was told until the manifest is edited; only its objects are cleared away.

Order within a pass: what became of running attempts; whether there is a plan; whether the job is halted; what is stopped and
cleared away; what begins; whether the job may go when it is deleted; what is told. Nothing is inferred from what is missing in a
cache: an attempt is written down in the status first, and its RayJob is created in the pass that reads it there.
"""

from dataclasses import dataclass

from chex_api.status import JobStatus
from chex_operator.reconcile.actions import Action, Notice
from chex_operator.reconcile.cleanup import clean_up, expire
from chex_operator.reconcile.deletion import delete_job, release_finalizer
from chex_operator.reconcile.events import notice
from chex_operator.reconcile.planning import plan
from chex_operator.reconcile.requeue import STOPPING_SECONDS, look_again
from chex_operator.reconcile.start import start_what_is_due
from chex_operator.reconcile.state import Course
from chex_operator.reconcile.status import standing_of, tell
from chex_operator.reconcile.stop import stop_all
from chex_operator.reconcile.superseded import settle
from chex_operator.reconcile.sync_attempts import sync_attempts
from chex_operator.rules.limits import halt_of
from chex_operator.rules.observed import Observed


@dataclass(frozen=True)
class Decision:
    """What a pass asks for.

    Attributes:
        actions: in order.
        status: as it is to be told.
        look_again: seconds until something is due without an event; None for never.
        notices: events for people.
    """

    actions: tuple[Action, ...]
    status: JobStatus
    look_again: float | None = None
    notices: tuple[Notice, ...] = ()


def decide(observed: Observed, now: float) -> Decision:
    """What to do about a job, and what to tell of it.

    Args:
        observed: see there.
        now: seconds since the epoch.
    """
    course = Course(observed, now)
    if observed.deleting_since is not None:
        delete_job(course, observed.deleting_since)
        told = observed.status.model_copy(update={"phase": "Stopping", "eta": ""})
        return _decision(course, told if observed.has_finalizer else observed.status, STOPPING_SECONDS)
    if course.is_over():
        clean_up(course)
        expire(course)
        release_finalizer(course, ended=True)
        return _decision(course, observed.status, look_again(course, ended=True))
    sync_attempts(course)
    settle(course)
    plan(course)
    complete = course.is_complete()
    halt = None
    if not complete:
        halt = halt_of(course.status, course.stages, course.own_stages(), course.policy, now)
    if halt is not None:
        stop_all(course, halt)
    clean_up(course)
    if halt is None and course.accepted is not None and not complete:
        start_what_is_due(course, course.accepted)
    standing = standing_of(course, halt, complete=complete)
    release_finalizer(course, ended=standing.ended or standing.stopped)
    told = tell(course, standing)
    notice(course, told)
    return _decision(course, told, look_again(course, ended=standing.ended))


def _decision(course: Course, told: JobStatus, seconds: float | None) -> Decision:
    return Decision(tuple(course.actions), told, seconds, tuple(course.notices))
