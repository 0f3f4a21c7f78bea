"""What a scripted driver sees and may do: the attempt's files, its progress ConfigMap, and what befalls its Pods."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

from chex_api.attempt import ATTEMPT_FILE, PROGRESS, STAGE_FILE, STOP, AttemptFile
from chex_api.stage import StageProgress, StageResult, StageSpec
from chex_operator.kube.errors import ApiError
from chex_operator.kube.resource import CONFIGMAPS, Object
from tests.apiserver.ray_engine.api import MERGE_PATCH, Api
from tests.apiserver.ray_engine.ends import End
from tests.apiserver.ray_engine.mounts import Given
from tests.apiserver.ray_engine.script import Run
from tests.apiserver.ray_engine.timings import Timings

TRIES = 5


class Pods(Protocol):
    """Whoever can end the container of a Pod."""

    def end(self, run: Run, role: str, end: End) -> None:
        """End the containers of the attempt's Pods of this role."""
        ...


class Driver:
    """The program in a container, before and while it runs.

    Attributes:
        run: The attempt.
        nth: How often its entry point has been started, this time included.
        pod: Where it runs.
        ray_job: Whose entry point it is; None for a Pod that runs a command of its own.
        given: Its files and environment.
        token: Of the Pod's ServiceAccount; empty where none is mounted.
        artifacts: What scripted drivers have finished, by namespace and URI of the manifest.
    """

    def __init__(
        self,
        run: Run,
        nth: int,
        pod: Object,
        ray_job: Object | None,
        given: Given,
        token: str,
        artifacts: dict[tuple[str, str], StageResult],
        api: Api,
        pods: Pods,
        timings: Timings,
        report: Callable[[Exception], None],
    ) -> None:
        self.run, self.nth, self.pod, self.ray_job = run, nth, pod, ray_job
        self.given, self.token = given, token
        self.artifacts = artifacts
        self._api, self._pods, self._timings, self._report = api, pods, timings, report

    def file(self, name: str) -> str:
        """Text of the mounted file of this name. Raises `LookupError`."""
        for path, text in self.given.files.items():
            if path.rsplit("/", 1)[-1] == name:
                return text
        raise LookupError(f"{name} is not mounted into {self.pod['metadata']['name']}")

    @property
    def spec(self) -> StageSpec:
        """The stage."""
        return StageSpec.parse(json.loads(self.file(STAGE_FILE)))

    @property
    def about(self) -> AttemptFile:
        """What the operator says of the attempt."""
        return AttemptFile.parse(json.loads(self.file(ATTEMPT_FILE)))

    async def tell(self, progress: StageProgress) -> bool:
        """Write progress, as well as it goes; whether the operator asks to stop."""
        return bool(await self._write({PROGRESS: json.dumps(progress.plain())}))

    async def conclude(self, key: str, plain: object) -> None:
        """Write the outcome: `RESULT`, `FAILURE` or `STOPPED`. Tried some times, then given up, as by a real driver."""
        for _ in range(TRIES):
            if await self._write({key: json.dumps(plain)}) is not None:
                return
            await self.pause()

    async def pause(self) -> None:
        """Wait as long as a driver waits before it tells progress again."""
        await asyncio.sleep(self._timings.driver)

    async def _write(self, data: dict[str, str]) -> bool | None:
        """Patch the attempt's ConfigMap as the Pod's ServiceAccount; whether it asks to stop. None: it was refused."""
        about = self.about
        path = CONFIGMAPS.path(about.namespace, about.progress_config_map)
        try:
            answer = await self._api.call("PATCH", path, {"data": data}, MERGE_PATCH, self.token)
        except ApiError as refused:
            self._report(refused)
            return None
        return STOP in (answer.get("data") or {})

    def end_pods(self, role: str, end: End) -> None:
        """Let the attempt's Pods of this role end: `head`, `worker`, `submitter`."""
        self._pods.end(self.run, role, end)
