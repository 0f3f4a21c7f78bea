"""How a run shows itself: a live line on a terminal, a line for each stage elsewhere, or JSON lines."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from chex_api.plan import Plan
from chex_api.stage import StageProgress, StageResult, StageSpec
from chex_api.summaries import IngestSummary
from chex_jobs.cli.live_line import LiveLine
from chex_jobs.cli.preflight_line import LookingLine
from chex_jobs.cli.terminal import tell
from chex_jobs.preflight import PreflightReport

MIN_SECONDS_BETWEEN_LINES = 0.2


class PeopleObserver:
    """For people: one line for each stage, on standard error; on a terminal it is alive while the stage runs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = LiveLine(stream)
        self._last_shown = 0.0
        self._looking = LookingLine(self._line)

    def looking(self, dataset: str, done: int, total: int) -> None:
        """Show how far a long look is, on a terminal only."""
        self._looking.tell(dataset, done, total)

    def planned(self, plan: Plan, preflight: PreflightReport, unfinished: list[StageSpec]) -> None:
        """Say how much there is to do."""
        self._looking.clear()
        films = sum(outlook.films for outlook in preflight.datasets.values())
        finished = len(plan.stages) - len(unfinished)
        self._say(
            f"preflight passed: {len(preflight.datasets)} data sets, {films} films; {finished} of {len(plan.stages)} stages are finished"
        )

    def started(self, stage: StageSpec, attempt_id: str) -> None:  # noqa: ARG002  people need no attempt's id
        """Name the stage that begins."""
        self._line.show(_name(stage), ["starting"])

    def progressed(self, stage: StageSpec, progress: StageProgress) -> None:
        """Show how far the stage is, on a terminal only."""
        now = time.monotonic()
        if self._line.is_live and now - self._last_shown >= MIN_SECONDS_BETWEEN_LINES:
            self._last_shown = now
            self._line.show(_name(stage), described(progress) or ["running"])

    def finished(self, stage: StageSpec, result: StageResult, seconds: float) -> None:
        """Say that the stage is finished."""
        self._line.clear()
        self._say(f"{_name(stage):<28} {seconds:7.1f} s   {headline(result)}")
        for notice in result.summary.get("notices", []):
            self._say(f"  note: {notice}")

    def ended(self, total_seconds: float, stage_seconds: float) -> None:
        """Say how long it took."""
        self._say(f"finished in {total_seconds:.1f} s ({total_seconds - stage_seconds:.1f} s outside stages)")

    def interrupted(self) -> None:
        """Leave the live line."""
        self._line.clear()

    def _say(self, text: str) -> None:
        tell(text.rstrip(), self._stream)


class JsonLinesObserver:
    """For machines: one JSON object a line, on standard output."""

    def looking(self, dataset: str, done: int, total: int) -> None:
        """Nothing: what was seen is told by `planned`."""

    def planned(self, plan: Plan, preflight: PreflightReport, unfinished: list[StageSpec]) -> None:
        """`planned`: films by data set, stages with identities, and which are to run."""
        stages = [{"stage": _name(stage), "identity": stage.identity} for stage in plan.stages]
        films = {name: outlook.films for name, outlook in preflight.datasets.items()}
        self._write("planned", films=films, stages=stages, unfinished=[_name(stage) for stage in unfinished])

    def started(self, stage: StageSpec, attempt_id: str) -> None:
        """`started`: stage and attempt."""
        self._write("started", stage=_name(stage), attempt=attempt_id)

    def progressed(self, stage: StageSpec, progress: StageProgress) -> None:
        """`progress`: the stage's own words and numbers."""
        self._write("progress", stage=_name(stage), **progress.plain())

    def finished(self, stage: StageSpec, result: StageResult, seconds: float) -> None:
        """`finished`: the manifest that proves it."""
        self._write(
            "finished",
            stage=_name(stage),
            seconds=round(seconds, 3),
            manifest=result.manifest_uri,
            sha256=result.manifest_sha256,
        )

    def ended(self, total_seconds: float, stage_seconds: float) -> None:
        """`ended`: how long it took."""
        self._write("ended", totalSeconds=round(total_seconds, 3), stageSeconds=round(stage_seconds, 3))

    def interrupted(self) -> None:
        """`interrupted`: the run goes on when started again."""
        self._write("interrupted")

    def _write(self, event: str, **values: Any) -> None:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **values}
        tell(json.dumps(line), sys.stdout)


def described(progress: StageProgress) -> list[str]:
    """Progress in words: `step 120/400`, `loss 2.31`, `films/s 812`, `~40 s left`."""
    parts = [progress.message] if progress.message else []
    if progress.total:
        parts.append(f"{progress.unit} {progress.done:.0f}/{progress.total:.0f}".strip())
    parts += [f"{name} {value:.4g}" for name, value in progress.metrics.items()]
    if progress.eta_seconds is not None:
        parts.append(f"{rounded_duration(progress.eta_seconds)} left")
    return parts


def rounded_duration(seconds: float) -> str:
    """A duration as honest as an estimate is: `~40 s`, `~12 min`, `~2.5 h`."""
    if seconds < 90:
        return f"~{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"~{round(seconds / 60)} min"
    return f"~{seconds / 3600:.1f} h"


def headline(result: StageResult) -> str:
    """The one line for people that a stage's summary offers, or that follows from its counts."""
    if "quarantined" in result.summary:
        return IngestSummary.parse(result.summary).headline
    return str(result.summary.get("headline", ""))


def _name(stage: StageSpec) -> str:
    return stage.label
