"""What starts. An attempt is written into the status first; its object is created in the pass that reads it there. Pure."""

from chex_api.status import StageStatus
from chex_operator.reconcile.actions import AddFinalizer, StartPreflight, StartStage
from chex_operator.reconcile.state import ReconcileState, is_unknown
from chex_operator.rendering import PREFLIGHT, AttemptReference, Preflight, attempt_name
from chex_operator.rules.admission import Accepted
from chex_operator.rules.frozen_plan import FrozenPlan, PlannedStage
from chex_operator.rules.placement import next_choice
from chex_operator.rules.reasons import SHORT_OF_MACHINES
from chex_operator.rules.stage_state import LIVE_STATES, rest, start_attempt
from chex_operator.rules.termination import holds_machines
from chex_operator.rules.timestamps import seconds_of


def start_what_is_due(state: ReconcileState, accepted: Accepted) -> None:
    """Start the preflight, or the stages of the plan that are due."""
    state.stages = [_resumed(stage) for stage in state.stages]
    _start_preflight(state, accepted)
    plan = state.observed.plan
    if plan is None or plan.identity != accepted.identity or plan.name != state.plan_name:
        return
    if not state.observed.has_finalizer:
        state.actions.append(AddFinalizer())
    planned = {stage.label: stage for stage in plan.stages}
    for index, stage in enumerate(state.stages):
        if stage.name in planned:
            state.stages[index] = _started(state, stage, planned[stage.name], plan)


def _start_preflight(state: ReconcileState, accepted: Accepted) -> None:
    preflight = state.preflight()
    if preflight is None:
        return
    if _is_due(state, preflight):
        state.stages[0] = start_attempt(
            preflight, _name(state, preflight, preflight.attempt + 1), workers=0, gpus=0
        )
    elif _is_to_be_created(state, preflight):
        state.actions.append(
            StartPreflight(
                Preflight(
                    job=state.observed.job,
                    manifest=accepted.manifest().plain(),
                    identity=preflight.identity,
                    number=preflight.attempt,
                    runtime=accepted.runtime,
                    policy=state.policy,
                )
            )
        )


def _started(
    state: ReconcileState, stage: StageStatus, planned: PlannedStage, plan: FrozenPlan
) -> StageStatus:
    if _is_to_be_created(state, stage):
        if state.observed.has_finalizer:
            state.actions.append(StartStage(plan, planned, stage.attempt, stage.workers, state.policy))
        return stage
    if not _is_due(state, stage) or not _may_start(state, planned):
        return stage
    workers = _workers(stage, planned)
    name = _name(state, stage, stage.attempt + 1)
    return start_attempt(stage, name, workers=workers, gpus=workers * planned.gpus)


def _is_due(state: ReconcileState, stage: StageStatus) -> bool:
    not_before = seconds_of(stage.not_before)
    return (
        stage.state == "Waiting"
        and not (is_unknown(stage) and stage.name != PREFLIGHT)
        and (not_before is None or not_before <= state.now)
        and not holds_machines(state.observed, [stage.attempt_name], state.now)
        and not _is_taken(state, _name(state, stage, stage.attempt + 1))
    )


def _is_taken(state: ReconcileState, name: str) -> bool:
    """Whether an object of that name is left, of a stage that one edit removed and another edit brings back.

    What its progress record says, a stop above all, was meant for the earlier attempt.
    """
    return name in state.observed.attempt_objects or name in state.observed.progress_records


def _is_to_be_created(state: ReconcileState, stage: StageStatus) -> bool:
    """Whether the last status names an attempt whose object is not observed yet."""
    written = next((each for each in state.status.stages if each.name == stage.name), None)
    return (
        stage.state == "Running"
        and stage.launch_time is None
        and written is not None
        and (written.state, written.attempt_name) == ("Running", stage.attempt_name)
        and stage.attempt_name not in state.observed.attempt_objects
    )


def _may_start(state: ReconcileState, planned: PlannedStage) -> bool:
    states = {each.name: each.state for each in state.stages}
    running = sum(each.state in LIVE_STATES for each in state.stages if each.name != PREFLIGHT)
    return (
        running < state.policy.parallelism
        and all(states.get(parent) == "Finished" for parent in planned.parents)
        and not _replaces_something_live(state)
    )


def _replaces_something_live(state: ReconcileState) -> bool:
    """Whether an attempt that is no stage's newest is still live: perhaps of the same stage before an edit."""
    newest = {each.attempt_name for each in state.stages}
    others = {*state.observed.attempt_objects, *state.observed.pods} - newest
    return holds_machines(state.observed, others, state.now)


def _name(state: ReconcileState, stage: StageStatus, attempt: int) -> str:
    kind, _, name = stage.name.partition("/")
    return attempt_name(AttemptReference(state.observed.job, kind, name, stage.identity, attempt))


def _resumed(stage: StageStatus) -> StageStatus:
    return rest(stage, "Waiting") if stage.state == "Suspended" else stage


def _workers(stage: StageStatus, planned: PlannedStage) -> int:
    """As many as wanted; fewer after an attempt that never got its machines."""
    if stage.attempt and stage.workers and stage.reason in SHORT_OF_MACHINES:
        return next_choice(planned.choices, stage.workers)
    return planned.choices[0]
