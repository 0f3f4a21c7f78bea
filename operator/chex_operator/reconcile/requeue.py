"""When a job is to be looked at again though nothing happens. Pure."""

from chex_operator.reconcile.state import Course
from chex_operator.rules import limits
from chex_operator.rules.stage_state import REFUSED
from chex_operator.rules.timestamps import seconds_of

RUNNING_SECONDS = 60.0
"""Between two looks at a job that runs: its time left and its GPU-hours are told anew."""
STOPPING_SECONDS = 5.0
SHORTEST_SECONDS = 0.5


def look_again(course: Course, *, ended: bool) -> float | None:
    """Seconds until something is due without an event; None for never."""
    moments: list[float] = []
    if ended:
        ttl = course.policy.ttl_seconds_after_finished
        completed = seconds_of(course.status.completion_time)
        if ttl is not None and (course.observed.runs or course.observed.notes or course.observed.plan):
            left = (completed if completed is not None else course.now) + ttl - course.now
            moments.append(
                left if left > 0.0 else RUNNING_SECONDS
            )  # what is being deleted goes with an event
    else:
        moments += [
            due - course.now
            for stage in course.stages
            # What waits though its time has come waits for something else, which comes with an event.
            if stage.state == "Waiting" and (due := seconds_of(stage.not_before) or 0.0) > course.now
        ]
        deadline = course.policy.active_deadline_seconds
        if deadline is not None and course.status.active_since is not None:  # else its clock stands still
            left = deadline - limits.active_seconds(course.status, course.now)
            moments += [left] if left > 0.0 else []
        if course.stages and course.stages[0].reason == REFUSED:
            moments.append(RUNNING_SECONDS)
        if course.any_live():
            stopping = any(stage.state == "Stopping" for stage in course.stages)
            moments.append(STOPPING_SECONDS if stopping else RUNNING_SECONDS)
    if course.busy() and not course.any_live():
        moments.append(STOPPING_SECONDS)
    return max(SHORTEST_SECONDS, min(moments)) if moments else None
