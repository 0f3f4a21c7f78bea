"""What begins. An attempt is written down first; its run is created in the pass that reads it in the status. Pure."""

from chex_api.status import StageStatus
from chex_operator.reconcile.actions import AddFinalizer, StartPreflight, StartStage
from chex_operator.reconcile.state import Course, is_unknown
from chex_operator.rendering import PREFLIGHT, AttemptReference, Preflight, attempt_name
from chex_operator.rules.admission import Accepted
from chex_operator.rules.frozen_plan import FrozenPlan, PlannedStage
from chex_operator.rules.placement import next_choice
from chex_operator.rules.stage_state import LIVE_STATES, begin, rest
from chex_operator.rules.termination import holds_machines
from chex_operator.rules.timestamps import seconds_of

SHORT_OF_MACHINES = ("PreRunningDeadlineExceeded", "Unschedulable")


def start_what_is_due(course: Course, accepted: Accepted) -> None:
    """The preflight, or the stages of the plan whose turn it is."""
    course.stages = [_resumed(stage) for stage in course.stages]
    _begin_preflight(course, accepted)
    plan = course.observed.plan
    if plan is None or plan.identity != accepted.identity or plan.name != course.plan_name:
        return
    if not course.observed.has_finalizer:
        course.actions.append(AddFinalizer())
    planned = {stage.label: stage for stage in plan.stages}
    for index, stage in enumerate(course.stages):
        if stage.name in planned:
            course.stages[index] = _begun(course, stage, planned[stage.name], plan)


def _begin_preflight(course: Course, accepted: Accepted) -> None:
    preflight = course.preflight()
    if preflight is None:
        return
    if _is_due(course, preflight):
        course.stages[0] = begin(
            preflight, _name(course, preflight, preflight.attempt + 1), workers=0, gpus=0
        )
    elif _is_to_be_created(course, preflight):
        course.actions.append(
            StartPreflight(
                Preflight(
                    job=course.observed.job,
                    manifest=accepted.manifest().plain(),
                    identity=preflight.identity,
                    number=preflight.attempt,
                    runtime=accepted.runtime,
                    policy=course.policy,
                )
            )
        )


def _begun(course: Course, stage: StageStatus, planned: PlannedStage, plan: FrozenPlan) -> StageStatus:
    if _is_to_be_created(course, stage):
        if course.observed.has_finalizer:
            course.actions.append(StartStage(plan, planned, stage.attempt, stage.workers, course.policy))
        return stage
    if not _is_due(course, stage) or not _may_begin(course, planned):
        return stage
    workers = _workers(stage, planned)
    name = _name(course, stage, stage.attempt + 1)
    return begin(stage, name, workers=workers, gpus=workers * planned.gpus)


def _is_due(course: Course, stage: StageStatus) -> bool:
    not_before = seconds_of(stage.not_before)
    return (
        stage.state == "Waiting"
        and not (is_unknown(stage) and stage.name != PREFLIGHT)
        and (not_before is None or not_before <= course.now)
        and not holds_machines(course.observed, [stage.attempt_name], course.now)
        and not _is_taken(course, _name(course, stage, stage.attempt + 1))
    )


def _is_taken(course: Course, name: str) -> bool:
    """Whether something of that name is left: of a stage that an edit took away and another edit brings back.

    What was told there, a stop above all, was meant for the attempt before.
    """
    return name in course.observed.runs or name in course.observed.notes


def _is_to_be_created(course: Course, stage: StageStatus) -> bool:
    """Whether the status that was read back names an attempt of which nothing has been seen yet."""
    told = next((each for each in course.status.stages if each.name == stage.name), None)
    return (
        stage.state == "Running"
        and stage.launch_time is None
        and told is not None
        and (told.state, told.attempt_name) == ("Running", stage.attempt_name)
        and stage.attempt_name not in course.observed.runs
    )


def _may_begin(course: Course, planned: PlannedStage) -> bool:
    states = {each.name: each.state for each in course.stages}
    running = sum(each.state in LIVE_STATES for each in course.stages if each.name != PREFLIGHT)
    return (
        running < course.policy.parallelism
        and all(states.get(parent) == "Finished" for parent in planned.parents)
        and not _replaces_something_live(course)
    )


def _replaces_something_live(course: Course) -> bool:
    """Whether an attempt that is no stage's newest still runs: of a stage's former self, perhaps."""
    newest = {each.attempt_name for each in course.stages}
    others = {*course.observed.runs, *course.observed.pods} - newest
    return holds_machines(course.observed, others, course.now)


def _name(course: Course, stage: StageStatus, attempt: int) -> str:
    kind, _, name = stage.name.partition("/")
    return attempt_name(AttemptReference(course.observed.job, kind, name, stage.identity, attempt))


def _resumed(stage: StageStatus) -> StageStatus:
    return rest(stage, "Waiting", "") if stage.state == "Suspended" else stage


def _workers(stage: StageStatus, planned: PlannedStage) -> int:
    """As many as wanted; fewer after an attempt that never got its machines."""
    if stage.attempt and stage.workers and stage.reason in SHORT_OF_MACHINES:
        return next_choice(planned.choices, stage.workers)
    return planned.choices[0]
