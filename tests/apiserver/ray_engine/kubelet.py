"""Plays the scheduler and the kubelets: Pods get a node, start, end, and go when they are told to.

Only Pods with a node are removed gracefully: without one, the API server itself deletes them at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from chex_operator.kube.errors import Conflict, NotFound
from chex_operator.kube.resource import PODS, Object
from tests.apiserver.ray_engine.api import Api
from tests.apiserver.ray_engine.ends import (
    End,
    ended_status,
    exited,
    running_status,
    unscheduled_status,
    waiting_status,
)
from tests.apiserver.ray_engine.mounts import Given, NotMountable, given_to
from tests.apiserver.ray_engine.script import UNSCHEDULABLE, Run, Script, role_of
from tests.apiserver.ray_engine.timings import Timings

NODE = "node-1"
Program = Callable[["Kubelet", Object, Given], Awaitable[int]]
"""What the container of a Pod does, given its files and environment; its answer is the exit code."""


class _Life:
    """A Pod on this node."""

    def __init__(self, pod: Object) -> None:
        self.pod = pod
        self.told: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self.removal: asyncio.Task[None] | None = None


class Kubelet:
    """All Pods of the API server. For one event loop."""

    def __init__(
        self,
        api: Api,
        script: Script,
        timings: Timings,
        program: Program,
        report: Callable[[Exception], None],
    ) -> None:
        self._api, self._script, self._timings, self._program = api, script, timings, program
        self._report = report
        self._lives: dict[str, _Life] = {}

    def heard(self, old: Object | None, new: Object | None) -> None:
        """Take note of a Pod that came, changed or went."""
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            self._forget(old["metadata"]["uid"])
        if new is None:
            return
        uid = new["metadata"]["uid"]
        life = self._lives.get(uid)
        if life is None:
            life = self._lives[uid] = _Life(new)
            if new.get("status", {}).get("phase", "Pending") == "Pending":
                life.task = asyncio.create_task(self._live(life), name=f"pod-{new['metadata']['name']}")
        life.pod = new
        if new["metadata"].get("deletionTimestamp") and life.removal is None:
            life.removal = asyncio.create_task(self._remove(life))

    def end(self, run: Run, role: str, end: End) -> None:
        """End the containers of the attempt's Pods of this role."""
        for life in self._lives.values():
            if role_of(life.pod) == role and Run.of(life.pod) == run and not life.told.done():
                life.told.set_result(end)

    def pods(self) -> list[Object]:
        """Every Pod there is, as it was heard of last."""
        return [life.pod for life in self._lives.values()]

    async def close(self) -> None:
        """Stop all containers."""
        tasks = [
            task for life in self._lives.values() for task in (life.task, life.removal) if task is not None
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, uid: str) -> None:
        life = self._lives.pop(uid, None)
        if life is not None and life.task is not None:
            life.task.cancel()

    async def _live(self, life: _Life) -> None:
        pod = life.pod
        try:
            trouble = self._script.trouble(pod)
            await asyncio.sleep(self._timings.schedule)
            if trouble is not None and trouble.reason == UNSCHEDULABLE:
                await self._tell(pod, unscheduled_status(trouble.message))
                return
            await self._bind(pod)
            if trouble is not None:
                await self._tell(pod, waiting_status(pod, trouble.reason, trouble.message))
                return
            given = await self._mounted(pod)
            await asyncio.sleep(self._timings.start)
            await self._tell(pod, running_status(pod))
            end = await self._ended(life, given)
            await self._tell(pod, ended_status(pod, end))
            if end.deleted:
                await self._api.delete(PODS, pod)
        except (NotFound, Conflict):
            pass  # gone meanwhile, or another one of its name is there
        except Exception as fault:
            self._report(fault)

    async def _mounted(self, pod: Object) -> Given:
        told = ""
        while True:
            try:
                return await given_to(pod, self._api)
            except NotMountable as missing:
                if told != missing.message:
                    told = missing.message
                    await self._tell(pod, waiting_status(pod, missing.reason, missing.message))
                await asyncio.sleep(self._timings.poll)

    async def _ended(self, life: _Life, given: Given) -> End:
        """The end of the container: by itself, or as somebody wants it."""
        program = asyncio.ensure_future(self._program(self, life.pod, given))
        try:
            await asyncio.wait({program, life.told}, return_when=asyncio.FIRST_COMPLETED)
            return life.told.result() if life.told.done() else exited(program.result())
        finally:
            program.cancel()
            await asyncio.gather(program, return_exceptions=True)

    async def _remove(self, life: _Life) -> None:
        """What a kubelet does with a Pod that is to go: its container ends, then the object."""
        await asyncio.sleep(self._timings.terminate)
        if life.task is not None:
            life.task.cancel()
            await asyncio.gather(life.task, return_exceptions=True)
        await self._api.delete(PODS, life.pod, grace=0)

    async def _bind(self, pod: Object) -> None:
        metadata = pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        await self._api.call("POST", PODS.path(metadata["namespace"], metadata["name"], "binding"), binding)

    async def _tell(self, pod: Object, status: Object) -> None:
        await self._api.patch(PODS, pod, {"status": status}, "status", guarded=False)
