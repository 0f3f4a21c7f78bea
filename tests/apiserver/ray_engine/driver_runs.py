"""Drivers for scripts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

from chex_api.attempt import FAILURE, MANIFEST_FILE, RESULT, STOPPED, PreflightResult, StageFailure
from chex_api.job import ChexTrainingJob
from chex_api.plan import digest_keys, make_plan
from chex_api.stage import StageProgress, StageResult, StageSpec
from tests.apiserver.ray_engine.driver import Driver
from tests.apiserver.ray_engine.ends import EVICTED, End
from tests.apiserver.ray_engine.script import DriverRun

FINISHED, FAILED, USER_ERROR_EXIT, INTERRUPTED = 0, 1, 2, 3
"""Exit codes of `chex_jobs.executor.cluster`."""
PREFLIGHT = "preflight"


def result_of(spec: StageSpec, summary: dict[str, Any] | None = None) -> StageResult:
    """The result that every attempt at this stage leaves: it depends on the stage's identity alone."""
    folder = f"{spec.artifacts_uri}/stages/{spec.kind}-{spec.name}-{spec.identity[:12]}"
    checksum = hashlib.sha256(spec.identity.encode()).hexdigest()
    return StageResult(
        manifest_uri=f"{folder}/manifest.json", manifest_sha256=checksum, summary=summary or {}
    )


def play(steps: int = 2) -> DriverRun:
    """What every attempt does that has nothing else to do: a preflight looks, a stage finishes."""
    look_around, work = look(), finish(steps)

    async def run(driver: Driver) -> int:
        return await (look_around if driver.run.kind == PREFLIGHT else work)(driver)

    return run


def look(*, as_another_version: bool = False) -> DriverRun:
    """A preflight that finds everything as it should be, and the stages that scripted drivers have finished.

    Args:
        as_another_version: Whether it computes other identities than the operator, as an image of another release may.
    """

    async def run(driver: Driver) -> int:
        job = ChexTrainingJob.parse(json.loads(driver.file(MANIFEST_FILE)))
        digests = {key: hashlib.sha256(key.encode()).hexdigest() for key in digest_keys(job.spec)}
        stages = {stage.label: stage for stage in make_plan(job, digests).stages}
        done = {
            label: driver.artifacts.get((driver.run.namespace, result_of(stage).manifest_uri))
            for label, stage in stages.items()
        }
        found = PreflightResult(
            digests=digests,
            identities={
                label: "f" * 64 if as_another_version else stage.identity for label, stage in stages.items()
            },
            finished={label: result for label, result in done.items() if result is not None},
        )
        await driver.conclude(RESULT, found.plain())
        return FINISHED

    return run


def finish(steps: int = 2, summary: dict[str, Any] | None = None, *, tells: bool = True) -> DriverRun:
    """Work for some steps and finish; stop between two of them when asked to.

    Args:
        steps: How many.
        summary: Of the stage's manifest.
        tells: Whether the result arrives; where not, only a preflight will find the stage finished.
    """

    async def run(driver: Driver) -> int:
        for step in range(steps):
            asked = await driver.tell(_progress(step, steps))
            if asked:
                return await _stopped(driver)
            await driver.pause()
        result = result_of(driver.spec, summary)
        place = (driver.run.namespace, result.manifest_uri)
        result = driver.artifacts.setdefault(place, result)  # the first manifest counts
        if tells:
            await driver.conclude(RESULT, result.plain())
        return FINISHED

    return run


def fail(message: str = "the loss is not a number", *, user_error: bool = False, steps: int = 0) -> DriverRun:
    """Commit some steps, then say why, and fail."""

    async def run(driver: Driver) -> int:
        for step in range(1, steps + 1):
            await driver.tell(_progress(step))
        await driver.conclude(FAILURE, StageFailure(message=message, user_error=user_error).plain())
        return USER_ERROR_EXIT if user_error else FAILED

    return run


def die(code: int = 1) -> DriverRun:
    """End without a word."""

    async def run(driver: Driver) -> int:
        return code

    return run


def hang(*, obeys: bool = True) -> DriverRun:
    """Make progress without end; stop when asked to, or not even then."""

    async def run(driver: Driver) -> int:
        step = 0
        while True:
            step += 1
            asked = await driver.tell(_progress(step))
            if asked and obeys:
                return await _stopped(driver)
            await driver.pause()

    return run


def lose(role: str = "worker", end: End = EVICTED, *, steps: int = 0) -> DriverRun:
    """Commit some steps, then lose the Pods of a role. Without a worker, Ray's trainer fails; a head takes all with it."""

    async def run(driver: Driver) -> int:
        for step in range(1, steps + 1):
            await driver.tell(_progress(step))
        driver.end_pods(role, end)
        await asyncio.sleep(1.0 if role == "worker" else 3600.0)
        return FAILED

    return run


def _progress(step: int, steps: int = 0) -> StageProgress:
    return StageProgress(done=step, total=steps, committed=step, unit="step")


async def _stopped(driver: Driver) -> int:
    await driver.conclude(STOPPED, {})
    return INTERRUPTED
