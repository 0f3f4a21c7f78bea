"""Attempts that an edited manifest replaced: they belong to no stage any more, and use GPUs until they have stopped. Pure."""

from collections.abc import Iterable

from chex_api.status import StageStatus, SupersededAttempt
from chex_operator.policy.course import Course
from chex_operator.policy.moments import seconds_of
from chex_operator.policy.observed import Observed
from chex_operator.policy.outcome import has_ended


def leave_behind(course: Course, stages: Iterable[StageStatus]) -> None:
    """Go on counting what these stages use, which are none of the new plan's."""
    plan = course.observed.plan
    pools = {stage.label: stage.pool for stage in plan.stages} if plan is not None else {}
    for stage in stages:
        course.earlier_gpu_seconds += float(stage.gpu_seconds)
        if stage.start_time is not None and stage.gpus:
            course.superseded.append(
                SupersededAttempt(
                    attempt_name=stage.attempt_name,
                    pool=pools.get(stage.name, ""),
                    gpus=stage.gpus,
                    start_time=stage.start_time,
                )
            )


def settle(course: Course) -> None:
    """Those that have ended are counted for good."""
    left: list[SupersededAttempt] = []
    for attempt in course.superseded:
        used = settled_gpu_seconds(attempt, course.observed, course.now)
        if used is None:
            left.append(attempt)
        else:
            course.earlier_gpu_seconds += used
    course.superseded = left


def settled_gpu_seconds(attempt: SupersededAttempt, observed: Observed, now: float) -> float | None:
    """GPU-seconds of one that has ended; None while it has not."""
    run = observed.runs.get(attempt.attempt_name)
    if run is None:
        return gpu_seconds_until(attempt, now)
    if not has_ended(run.state):
        return None
    return gpu_seconds_until(attempt, min(now, run.ended_at or now))


def gpu_seconds_until(attempt: SupersededAttempt, moment: float) -> float:
    """GPU-seconds of one, up to a moment."""
    since = seconds_of(attempt.start_time)
    assert since is not None
    return attempt.gpus * max(0.0, moment - since)
