"""What people read of a job in one line: phase, stage, progress, time left, the best result. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chex_api.stage import StageProgress
from chex_api.status import Phase, StageStatus
from chex_operator.rendering import PREFLIGHT

WEIGHTS = {PREFLIGHT: 0.1, "ingest": 1.0, "pretrain": 10.0, "adapt": 8.0, "evaluate": 1.0, "report": 0.2}
"""Rough shares of a job's time: they order progress, they promise nothing."""
PHASES: dict[str, Phase] = {
    PREFLIGHT: "Preflight",
    "ingest": "Ingesting",
    "pretrain": "Pretraining",
    "adapt": "Adapting",
    "evaluate": "Evaluating",
    "report": "Reporting",
}
LONG = ("pretrain", "adapt")
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True)
class Line:
    """The one line."""

    phase: Phase
    stage: str
    progress: str
    eta: str


def kind_of(stage: StageStatus) -> str:
    """The stage's kind, from its name."""
    return stage.name.partition("/")[0]


def running_line(
    stages: Sequence[StageStatus],
    counted: Sequence[StageStatus],
    progress: Mapping[str, StageProgress],
    active_seconds: float,
) -> Line:
    """The line of a job that is under way.

    Args:
        stages: the preflight first, then the plan's order.
        counted: those of them that say how much is done.
        progress: what drivers reported, by the stage's name.
        active_seconds: how long the job has run.
    """
    leading = _leading(stages)
    done = overall(counted)
    phase = PHASES[kind_of(leading)] if leading is not None else "Pending"
    return Line(
        phase=phase,
        stage=leading.name if leading is not None else "",
        progress=f"{int(100.0 * done)}%",
        eta=_eta(stages, progress, done, active_seconds),
    )


def overall(stages: Sequence[StageStatus]) -> float:
    """How much is done, 0 to 1. Without a plan only the preflight is known, which counts for nothing."""
    if len(stages) < 2:
        return 0.0
    weighed = [(WEIGHTS[kind_of(stage)], stage.progress_percent / 100.0) for stage in stages]
    return sum(weight * share for weight, share in weighed) / sum(weight for weight, _ in weighed)


def _leading(stages: Sequence[StageStatus]) -> StageStatus | None:
    """The stage that matters now: the heaviest of those that run, else the first that waits."""
    running = [stage for stage in stages if stage.state in ("Running", "Stopping")]
    if running:
        return max(running, key=lambda stage: WEIGHTS[kind_of(stage)])
    return next((stage for stage in stages if stage.state != "Finished"), None)


def _eta(
    stages: Sequence[StageStatus], progress: Mapping[str, StageProgress], done: float, active_seconds: float
) -> str:
    """A range while long stages have not started, one figure once drivers' own estimates cover the rest, else nothing."""
    running = [stage for stage in stages if stage.state == "Running"]
    waiting_long = any(stage.state == "Waiting" and kind_of(stage) in LONG for stage in stages)
    estimates = [
        seconds
        for stage in running
        if (known := progress.get(stage.name)) is not None and (seconds := known.eta_seconds) is not None
    ]
    if running and not waiting_long and len(estimates) == len(running) and len(stages) > 1:
        return f"~{rounded(max(estimates))}"
    if done < 0.05 or active_seconds < 5 * MINUTE:
        return ""
    guess = active_seconds * (1.0 - done) / done
    shortest, longest = rounded(guess / 2), rounded(guess * 2)
    return f"~{longest}" if shortest == longest else f"{shortest}-{longest}"


def rounded(seconds: float) -> str:
    """A duration to about one digit: nobody should plan by more."""
    if seconds < 5 * MINUTE:
        return f"{max(1, round(seconds / MINUTE))}m"
    if seconds < HOUR:
        return f"{5 * round(seconds / MINUTE / 5)}m"
    if seconds < 2 * DAY:
        return f"{max(1, round(seconds / HOUR))}h"
    return f"{min(9999, round(seconds / DAY))}d"
