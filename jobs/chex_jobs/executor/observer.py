"""What the executor tells while it runs. Printing is the command line's business."""

from typing import Protocol

from chex_api.plan import Plan
from chex_api.stage import StageProgress, StageResult, StageSpec
from chex_jobs.preflight import PreflightReport


class RunObserver(Protocol):
    """Hears of everything that happens in a run, in order, from one thread at a time."""

    def looking(self, dataset: str, done: int, total: int) -> None:
        """Preflight looks at the films of a data set."""

    def planned(self, plan: Plan, preflight: PreflightReport, unfinished: list[StageSpec]) -> None:
        """Preflight passed and the plan stands."""

    def started(self, stage: StageSpec, attempt_id: str) -> None:
        """A stage begins."""

    def progressed(self, stage: StageSpec, progress: StageProgress) -> None:
        """A stage tells how far it is."""

    def finished(self, stage: StageSpec, result: StageResult, seconds: float) -> None:
        """A stage is finished and its manifest stored."""

    def ended(self, total_seconds: float, stage_seconds: float) -> None:
        """Every stage is finished."""
