"""`LocalExecutor`: the plan's stages, one after the other, on this machine.

What is finished is read from the artifacts, never remembered: a run that was killed goes on by being started again.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from chex_api.job import ChexTrainingJob
from chex_api.plan import Plan, make_plan
from chex_api.stage import StageResult, StageSpec
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.executor.observer import RunObserver
from chex_jobs.handover.context import Machine, StageContext, StageStopped
from chex_jobs.preflight import run_preflight
from chex_jobs.stages.errors import StageFailed


@dataclass(frozen=True)
class RunOutcome:
    """Where a finished run left its results."""

    plan: Plan
    results: dict[str, StageResult]
    """By `<kind>/<name>`."""

    def report(self) -> StageResult:
        """The report stage's result."""
        return next(result for name, result in self.results.items() if name.startswith("report/"))


class LocalExecutor:
    """Runs a job on this machine."""

    def __init__(
        self, job: ChexTrainingJob, machine: Machine, observer: RunObserver, stop: threading.Event
    ) -> None:
        self._job = job
        self._machine = machine
        self._observer = observer
        self._stop = stop
        self._store = ArtifactStore.open(job.spec.artifacts.uri)

    def run(self) -> RunOutcome:
        """Run every unfinished stage. Raises `PreflightFailed`, `StageStopped`, or the failing stage's error."""
        begun = time.monotonic()
        preflight = run_preflight(self._job, self._looking)
        plan = make_plan(self._job, preflight.digests)
        results = {
            _label(stage): done for stage in plan.stages if (done := self._finished(stage)) is not None
        }
        unfinished = [stage for stage in plan.stages if _label(stage) not in results]
        self._observer.planned(plan, preflight, unfinished)
        stage_seconds = 0.0
        if unfinished:
            with _ray_if(any(stage.kind != "report" for stage in unfinished), self._machine):
                for stage in unfinished:
                    stage_begun = time.monotonic()
                    results[_label(stage)] = self._run_stage(stage)
                    stage_seconds += time.monotonic() - stage_begun
        self._observer.ended(time.monotonic() - begun, stage_seconds)
        return RunOutcome(plan, results)

    def _looking(self, dataset: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise StageStopped
        self._observer.looking(dataset, done, total)

    def _finished(self, stage: StageSpec) -> StageResult | None:
        done = self._store.stage(stage.kind, stage.name, stage.identity).finished()
        return _result(done) if done is not None else None

    def _run_stage(self, stage: StageSpec) -> StageResult:
        from chex_jobs.stages.registry import (
            run_stage,
        )  # loads torch and Ray: not for a run with nothing to do

        attempt_id = new_attempt_id()
        context = StageContext(
            store=self._store,
            attempt_id=attempt_id,
            machine=self._machine,
            on_progress=lambda progress: self._observer.progressed(stage, progress),
            stop=self._stop,
        )
        context.raise_if_stopped()
        self._observer.started(stage, attempt_id)
        begun = time.monotonic()
        try:
            result = _result(run_stage(stage, context))
        except StageFailed as error:
            raise error.with_details() from error.__cause__
        self._observer.finished(stage, result, time.monotonic() - begun)
        return result


def new_attempt_id() -> str:
    """A name for one attempt on this machine: when, and something no other attempt has."""
    return f"local-{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(3)}"


def _label(stage: StageSpec) -> str:
    return stage.label


def _result(done: FinishedArtifact) -> StageResult:
    return StageResult(
        manifest_uri=done.manifest_uri, manifest_sha256=done.manifest_sha256, summary=dict(done.summary)
    )


@contextmanager
def _ray_if(needed: bool, machine: Machine) -> Iterator[None]:
    """One Ray for all stages of a run, or none at all."""
    if not needed:
        yield
        return
    from chex_jobs.executor.local_ray import local_ray

    with local_ray(machine):
        yield
