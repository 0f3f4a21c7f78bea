"""What became of running attempts. Pure."""

from chex_api.status import StageStatus
from chex_operator.reconcile.actions import DeletePlan
from chex_operator.reconcile.state import Course, is_unknown
from chex_operator.rules.outcome import End, Outcome
from chex_operator.rules.stage_state import (
    LIVE_STATES,
    UNKNOWN_RESULT,
    Seen,
    advance,
    fail_or_retry,
    finish,
    rest,
)

NO_MANIFEST = Outcome(End.FAILED, "NoManifest", "it ended well, and left no manifest")


def sync_attempts(course: Course) -> None:
    """Bring every stage up to what is seen of its attempt."""
    course.stages = [_advanced(course, stage) for stage in course.stages]
    if course.is_new_generation:
        _look_again_at_what_failed(course)
        course.stages = [_revived(stage) for stage in course.stages]
    _resolve_unknown_results(course)


def _look_again_at_what_failed(course: Course) -> None:
    """Data that were at fault may have been mended: they are another input, so a preflight looks first, and the plan follows it."""
    preflight = course.preflight()
    if preflight is not None and any(stage.state == "Failed" for stage in course.stages[1:]):
        course.stages[0] = rest(preflight, "Waiting", "")
        _drop_plan(course)


def _drop_plan(course: Course) -> None:
    """The stages go on by what the next plan says."""
    if course.plan_name:
        course.actions.append(DeletePlan(course.plan_name))
        course.plan_name = ""


def _revived(stage: StageStatus) -> StageStatus:
    """A changed manifest is another chance: for what failed, and for what waits to be tried again."""
    if stage.state == "Failed":
        stage = rest(stage, "Waiting", "")
    if stage.state in ("Waiting", "Suspended"):
        stage = stage.model_copy(update={"failures": 0, "disruptions": 0, "not_before": None})
    return stage


def _advanced(course: Course, stage: StageStatus) -> StageStatus:
    observed, name = course.observed, stage.attempt_name
    notes = observed.notes.get(name)
    seen = Seen(observed.runs.get(name), notes, observed.pods.get(name, ()))
    advanced = advance(stage, seen, course.policy, course.now)
    if advanced.state == "Finished" and stage.state != "Finished" and notes is not None and notes.result:
        course.results[stage.name] = notes.result
    return advanced


def _resolve_unknown_results(course: Course) -> None:
    """A stage that ended well and told nothing: a preflight looks what is there, it is never guessed."""
    unknown = [stage for stage in course.stages[1:] if is_unknown(stage)]
    preflight = course.preflight()
    if not unknown or preflight is None:
        return
    ended_now = preflight.state == "Finished" and course.status.stages[0].state in LIVE_STATES
    notes = course.observed.notes.get(preflight.attempt_name)
    if not (ended_now and notes is not None and notes.preflight is not None):
        if preflight.state == "Finished":
            course.stages[0] = rest(preflight, "Waiting", UNKNOWN_RESULT, "looks what finished stages left")
        return
    if any(notes.preflight.identities.get(stage.name) != stage.identity for stage in unknown):
        # The data are others by now, and so are results of that name: a new plan says which.
        _drop_plan(course)
        return
    for index, stage in enumerate(course.stages):
        if not is_unknown(stage):
            continue
        done = notes.preflight.finished.get(stage.name)
        if done is not None:
            course.results[stage.name] = done
            course.stages[index] = finish(stage, done.manifest_uri, done.manifest_sha256)
        else:
            course.stages[index] = fail_or_retry(
                stage, NO_MANIFEST, course.policy, progressed=False, now=course.now
            )
