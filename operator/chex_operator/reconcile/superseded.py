"""Attempts that an edited manifest replaced: they belong to no stage any more, and use GPUs until they have stopped. Pure."""

from collections.abc import Iterable

from chex_api.status import StageStatus, SupersededAttempt
from chex_operator.reconcile.state import Course
from chex_operator.rules.accounting import superseded_gpu_seconds
from chex_operator.rules.outcome import has_ended


def leave_behind(course: Course, stages: Iterable[StageStatus]) -> None:
    """Go on counting what these stages use, which are none of the new plan's."""
    pools = course.observed.pools()
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
        run = course.observed.runs.get(attempt.attempt_name)
        if run is not None and not has_ended(run.state):
            left.append(attempt)
        else:
            course.earlier_gpu_seconds += superseded_gpu_seconds(attempt, course.observed, course.now)
    course.superseded = left
