"""What a scripted driver sees and may do: the attempt's files, its progress ConfigMap, and what befalls its Pods."""

from __future__ import annotations

import asyncio
import json
from typing import Protocol

from chex_api.attempt import ATTEMPT_FILE, PROGRESS, STAGE_FILE, STOP, AttemptFile
from chex_api.stage import StageProgress, StageResult, StageSpec
from chex_operator.runtime.resource import CONFIGMAPS, Object
from tests.apiserver.ray_engine.api import MERGE_PATCH, Api
from tests.apiserver.ray_engine.ends import End
from tests.apiserver.ray_engine.mounts import Given
from tests.apiserver.ray_engine.script import Run
from tests.apiserver.ray_engine.timings import Timings


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
        given: Its files and environment.
        token: Of the Pod's ServiceAccount; empty where none is mounted.
        artifacts: What scripted drivers have finished, by the URI of its manifest.
    """

    def __init__(
        self,
        run: Run,
        nth: int,
        pod: Object,
        given: Given,
        token: str,
        artifacts: dict[str, StageResult],
        api: Api,
        pods: Pods,
        timings: Timings,
    ) -> None:
        self.run, self.nth, self.pod, self.given, self.token = run, nth, pod, given, token
        self.artifacts = artifacts
        self._api, self._pods, self._timings = api, pods, timings

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
        """Write progress; whether the operator asks to stop."""
        return STOP in await self.write({PROGRESS: json.dumps(progress.plain())})

    async def conclude(self, key: str, plain: object) -> None:
        """Write the outcome: `RESULT`, `FAILURE` or `STOPPED`."""
        await self.write({key: json.dumps(plain)})

    async def asked_to_stop(self) -> bool:
        """Wait as long as a driver waits between two looks; whether the operator asks to stop."""
        await asyncio.sleep(self._timings.driver)
        return STOP in await self.write({})

    async def write(self, data: dict[str, str]) -> dict[str, str]:
        """Patch the attempt's ConfigMap as the Pod's ServiceAccount; what it holds then. Raises `ApiError`."""
        about = self.about
        path = CONFIGMAPS.path(about.namespace, about.progress_config_map)
        answer = await self._api.call("PATCH", path, {"data": data}, MERGE_PATCH, self.token)
        return answer.get("data") or {}

    def end_pods(self, role: str, end: End) -> None:
        """Let the attempt's Pods of this role end: `head`, `worker`, `submitter`."""
        self._pods.end(self.run, role, end)
