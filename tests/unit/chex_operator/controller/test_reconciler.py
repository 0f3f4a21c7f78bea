"""Which jobs a pass costs something. What passes do is tested at a real API server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from chex_api.status import SupersededAttempt
from chex_operator.controller.caches import Caches
from chex_operator.controller.reconciler import Reconciler
from chex_operator.kube.errors import NotFound, ServerError
from chex_operator.kube.metrics import Metrics
from chex_operator.kube.resource import (
    CLUSTER_RUNTIMES,
    CONFIGMAPS,
    JOBS,
    PODS,
    RAYJOBS,
    Object,
    Resource,
)
from chex_operator.kube.wire import Page, WatchEvent
from chex_operator.kube.worker import Requeue
from chex_operator.rendering.names import ATTEMPT_LABEL, JOB_UID_LABEL, ROLE_LABEL
from chex_operator.rules.observed import Pod
from chex_operator.rules.timestamps import timestamp
from tests.patience import PATIENCE_SECONDS
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock
from tests.unit.chex_operator.reconcile.world import World, accepted, manifest
from tests.unit.chex_operator.rendering.attempts import runtime

KEY = ("radiology", "tiny")
METADATA: Object = {
    "namespace": "radiology",
    "name": "tiny",
    "uid": "u",
    "resourceVersion": "5",
    "generation": 1,
}
LEFT = {
    "metadata": {
        "namespace": "radiology",
        "name": "left",
        "uid": "l",
        "resourceVersion": "3",
        "labels": {JOB_UID_LABEL: "u", ROLE_LABEL: "progress"},
    }
}


class Api:
    """Lists what it was given, and records every other call."""

    def __init__(self, **items: list[Object]) -> None:
        self.calls: list[str] = []
        self._items = items

    async def list_page(self, resource: Resource, *_: Any, **__: Any) -> Page:
        return Page(self._items.get(resource.plural, []), "9", "")

    async def watch(self, *_: Any, **__: Any) -> AsyncGenerator[WatchEvent, None]:
        await asyncio.Event().wait()
        yield WatchEvent("BOOKMARK", {})

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        self.calls.append(f"get {resource.plural}")
        if resource is JOBS:
            return self._items[JOBS.plural][0]
        raise NotFound(404, "NotFound", name)

    async def patch_metadata(self, *_: Any, **__: Any) -> Object:
        self.calls.append("finalize")
        return {"metadata": {"resourceVersion": "6"}}

    async def patch_status(self, resource: Resource, *_: Any, **__: Any) -> Object:
        self.calls.append(f"patch {resource.plural}")
        return {}


class Recorder:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def record(self, regarding: Any, kind: str, reason: str, *_: Any) -> None:
        self.reasons.append(reason)


def ended(**changes: Any) -> Object:
    """A job that is complete, and its status as the operator wrote it."""
    job = manifest(ttlSecondsAfterFinished=60)
    world = World(accepted(job))
    world.run_to_the_end()
    return {
        "metadata": METADATA | changes,
        "spec": job.spec.plain() | {"runtimeRef": {"kind": "ClusterChexRuntime", "name": "gone"}},
        "status": world.status.plain(),
    }


def look(api: Api, recorder: Recorder | None = None) -> tuple[Requeue | None, str]:
    """One pass over the job; what it asks for, and the metrics then."""

    async def once() -> tuple[Requeue | None, str]:
        clock = VirtualClock()
        metrics = Metrics(clock)
        async with followed(api, clock) as caches:
            client: Any = api
            events: Any = recorder or Recorder()
            reconciler = Reconciler(caches, client, clock, events, metrics, lambda: True)
            return await reconciler.reconcile(KEY), metrics.page().decode()

    return asyncio.run(once())


@asynccontextmanager
async def followed(api: Api, clock: VirtualClock) -> AsyncGenerator[Caches, None]:
    """Caches that hold what `api` lists, and follow it while the block lasts."""
    caches = Caches(api, clock, None, lambda _: None)
    following = [asyncio.create_task(each.run()) for each in caches.following().values()]
    try:
        for each in caches.following().values():
            await each.wait_synced()
        yield caches
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


def test_a_job_at_its_end_whose_objects_are_gone_costs_no_call_whatever_became_of_its_runtime() -> None:
    api = Api(**{JOBS.plural: [ended()]})
    requeue, metrics = look(api)
    assert (requeue, api.calls) == (None, [])
    assert 'chex_operator_stages{kind="pretrain",state="Finished"} 1.0' in metrics


def test_a_job_at_its_end_is_cleared_away_while_something_of_it_is_left() -> None:
    api = Api(**{JOBS.plural: [ended()], CONFIGMAPS.plural: [LEFT]})
    look(api)
    assert api.calls


def test_a_job_at_its_end_does_not_keep_our_finalizer_when_its_objects_went_first() -> None:
    api = Api(**{JOBS.plural: [ended(finalizers=["chexdragon.dev/checkpoint"])]})
    look(api)
    assert "finalize" in api.calls


def test_an_edited_job_at_its_end_is_judged_again() -> None:
    api = Api(**{JOBS.plural: [ended(generation=2)]})
    look(api)
    assert "patch chextrainingjobs" in api.calls


def test_a_deleted_job_at_its_end_is_let_go() -> None:
    deleted = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["chexdragon.dev/checkpoint"]}
    api = Api(**{JOBS.plural: [ended(**deleted)]})
    look(api)
    assert "finalize" in api.calls


def test_what_a_deleted_job_used_is_counted_when_it_is_let_go() -> None:
    world = World()
    world.run_to("pretrain/ssl")
    stopping = SupersededAttempt(
        attempt_name="gone", pool="gpu", gpus=2, start_time=timestamp(world.now - 100)
    )
    deleted = {
        "deletionTimestamp": timestamp(world.now),
        "finalizers": ["chexdragon.dev/checkpoint"],
    }
    status = world.status.model_copy(update={"superseded": (stopping,)})
    job = {"metadata": METADATA | deleted, "spec": manifest().spec.plain(), "status": status.plain()}
    _, metrics = look(Api(**{JOBS.plural: [job]}))
    assert 'chex_operator_gpu_seconds_total{pool="gpu"} 200.0' in metrics


def test_what_may_be_left_of_a_job_that_did_not_end_in_time_is_reported_by_an_event() -> None:
    item = ended(deletionTimestamp="1969-01-01T00:00:00Z", finalizers=["chexdragon.dev/checkpoint"])
    alive = {
        "metadata": {
            "namespace": "radiology",
            "name": "p",
            "uid": "p",
            "resourceVersion": "3",
            "labels": {JOB_UID_LABEL: "u", ATTEMPT_LABEL: "some-attempt"},
        },
        "status": {"phase": "Running"},
    }
    recorder = Recorder()
    look(Api(**{JOBS.plural: [item], PODS.plural: [alive]}), recorder)
    assert recorder.reasons == ["StillRunning"]


def test_a_pass_in_which_something_could_not_be_created_reports_it_and_is_repeated() -> None:
    class Down(Api):
        async def create(self, resource: Resource, *_: Any) -> Object:
            raise ServerError(500, "InternalError", "the webhook is down")

    job, world = manifest(), World()
    world.step()  # a preflight is written down
    spec = job.spec.plain() | {"runtimeRef": {"kind": "ClusterChexRuntime", "name": "h200"}}
    asked_for = {"metadata": METADATA, "spec": spec, "status": world.status.plain()}
    offered = {"metadata": {"name": "h200", "resourceVersion": "3"}, "spec": runtime().plain()}
    api = Down(**{JOBS.plural: [asked_for], CLUSTER_RUNTIMES.plural: [offered]})
    with pytest.raises(ServerError, match="webhook"):
        look(api)
    assert api.calls[-1] == "patch chextrainingjobs"


def test_a_pod_that_was_evicted_and_replaced_between_two_passes_is_reported_once() -> None:
    world = World()
    attempt = world.run_to("pretrain/ssl")
    job = {"metadata": METADATA, "spec": manifest().spec.plain(), "status": world.status.plain()}
    gone = asyncio.Event()

    class Evicting(Api):
        written: Object

        async def watch(self, resource: Resource, *_: Any, **__: Any) -> AsyncGenerator[WatchEvent, None]:
            if resource is PODS:
                for version, kind in enumerate(("ADDED", "MODIFIED", "DELETED"), 10):
                    yield WatchEvent(kind, worker(attempt, version, evicted=kind != "ADDED"))
                gone.set()
            await asyncio.Event().wait()

        async def get(self, resource: Resource, namespace: str, name: str) -> Object:
            if resource is not RAYJOBS:
                return await super().get(resource, namespace, name)
            running = {"jobStatus": "RUNNING", "jobDeploymentStatus": "Running"}
            return {"metadata": {"namespace": namespace, "name": name, "uid": "r"}, "status": running}

        async def patch_status(self, resource: Resource, *arguments: Any, **named: Any) -> Object:
            self.written = [each for each in (*arguments, *named.values()) if isinstance(each, dict)][-1]
            return {"metadata": {"resourceVersion": "6"}}

    async def passes() -> tuple[str, list[Pod]]:
        clock = VirtualClock()
        api = Evicting(**{JOBS.plural: [job]})
        async with followed(api, clock) as caches:
            await asyncio.wait_for(gone.wait(), PATIENCE_SECONDS)
            client: Any = api
            recorder: Any = Recorder()
            reconciler = Reconciler(caches, client, clock, recorder, Metrics(clock), lambda: True)
            await reconciler.reconcile(KEY)
            return str(api.written), caches.pod_failures.of_job("radiology", "u")

    written, left = asyncio.run(passes())
    assert "'interruption': {'reason': 'Evicted'" in written
    assert left == []


def worker(attempt: str, version: int, *, evicted: bool) -> Object:
    labels = {JOB_UID_LABEL: "u", ATTEMPT_LABEL: attempt, "ray.io/node-type": "worker"}
    metadata = {
        "namespace": "radiology",
        "name": "w",
        "uid": "w",
        "resourceVersion": str(version),
        "labels": labels,
    }
    status = {"phase": "Failed", "reason": "Evicted"} if evicted else {"phase": "Running"}
    return {"metadata": metadata, "spec": {"nodeName": "n"}, "status": status}


def test_a_job_of_the_same_name_takes_the_place_of_the_one_before_in_the_metrics() -> None:
    class Replaced(Api):
        async def watch(self, resource: Resource, *_: Any, **__: Any) -> AsyncGenerator[WatchEvent, None]:
            if resource is JOBS:
                yield WatchEvent("DELETED", ended(resourceVersion="10"))
                yield WatchEvent("ADDED", ended(uid="another", resourceVersion="11"))
                replaced.set()
            await asyncio.Event().wait()

    replaced = asyncio.Event()

    async def twice() -> str:
        clock = VirtualClock()
        metrics = Metrics(clock)
        api = Replaced(**{JOBS.plural: [ended()]})
        caches = Caches(api, clock, None, lambda _: None)
        recorder: Any = Recorder()
        client: Any = api
        reconciler = Reconciler(caches, client, clock, recorder, metrics, lambda: True)
        following = asyncio.create_task(caches.jobs.run())
        await caches.jobs.wait_synced()
        await reconciler.reconcile(KEY)
        await replaced.wait()
        await reconciler.reconcile(KEY)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        return metrics.page().decode()

    assert 'chex_operator_stages{kind="pretrain",state="Finished"} 1.0' in asyncio.run(twice())
