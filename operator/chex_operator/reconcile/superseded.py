"""Attempts of stages that an edit removed from the plan: they use GPUs until they have stopped. Pure."""

from collections.abc import Iterable

from chex_api.status import StageStatus, SupersededAttempt
from chex_operator.reconcile.state import ReconcileState
from chex_operator.rules.accounting import superseded_gpu_seconds
from chex_operator.rules.outcome import has_ended


def supersede(state: ReconcileState, stages: Iterable[StageStatus]) -> None:
    """Keep counting what these stages use, which the new plan does not have."""
    pools = state.observed.pools()
    for stage in stages:
        state.earlier_gpu_seconds += float(stage.gpu_seconds)
        if stage.start_time is not None and stage.gpus:
            state.superseded.append(
                SupersededAttempt(
                    attempt_name=stage.attempt_name,
                    pool=pools.get(stage.name, ""),
                    gpus=stage.gpus,
                    start_time=stage.start_time,
                )
            )


def settle_superseded(state: ReconcileState) -> None:
    """Add those that have ended to the total."""
    left: list[SupersededAttempt] = []
    for attempt in state.superseded:
        attempt_object = state.observed.attempt_objects.get(attempt.attempt_name)
        if attempt_object is not None and not has_ended(attempt_object.state):
            left.append(attempt)
        else:
            state.earlier_gpu_seconds += superseded_gpu_seconds(attempt, state.observed, state.now)
    state.superseded = left
