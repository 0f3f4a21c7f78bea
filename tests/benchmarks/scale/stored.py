"""Jobs as they lie in a cluster: some live with all their children, most at their end.

Their statuses are told by the policies in an imagined world, and their children rendered as the operator renders them: what
is stored is what the operator would have written, so that it finds nothing to do. Left out is what it does not follow: the
specs of planned stages, RBAC and network policies of attempts, Ray's Services.
"""

import asyncio
import copy
import json
import random
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from chex_api.attempt import PROGRESS, RESULT
from chex_api.job import ChexTrainingJob
from chex_api.loading import validate_job
from chex_api.plan import Plan, digest_keys, make_plan
from chex_api.runtime import RuntimeSpec
from chex_api.stage import StageProgress, StageResult
from chex_api.status import JobStatus, StageStatus
from chex_operator.controller.projections import FINALIZER
from chex_operator.kube.client import Client
from chex_operator.kube.resource import (
    BATCH_JOBS,
    CLUSTER_RUNTIMES,
    CONFIGMAPS,
    JOBS,
    PODS,
    RAYJOBS,
    Object,
    Resource,
)
from chex_operator.rendering import (
    PREFLIGHT,
    Attempt,
    AttemptReference,
    JobReference,
    Preflight,
    WorkerGroup,
    attempt_name,
    preflight_job,
    ray_job,
)
from chex_operator.rendering.config_maps import json_text, preflight_config_map, progress_config_map
from chex_operator.rules.admission import Accepted, judge
from chex_operator.rules.frozen_plan import (
    FrozenPlan,
    document_of,
    freeze,
    plan_identity,
    plan_objects,
    stage_label,
)
from chex_operator.rules.placement import placement_of, pool_named
from chex_operator.rules.timestamps import timestamp
from tests.apiserver.ray_engine.ends import running_status
from tests.apiserver.ray_engine.objects import cluster_pod, places, ray_cluster, submitter_job, submitter_pod
from tests.unit.chex_operator.reconcile.world import World

SAMPLES = Path(__file__).parents[3] / "infra" / "samples"
NAMESPACE = "radiology"
ARTIFACTS = f"s3://radiology-models/{NAMESPACE}/mercy"
LIVE_STAGE = "pretrain/multimodal"
BEGAN_SECONDS_AGO = 6 * 3600.0
ENDED_SECONDS_AGO = 3 * 86400.0
TTL_SECONDS = 86400
DONE_AT_FIRST, TOTAL = 10, 100
AT_ONCE = 24

Write = tuple[Resource, Object, Object | None]
"""A kind, an object of it, and its status where that is written apart."""


@dataclass(frozen=True)
class Manifest:
    """The sample for a hospital's own films, and the sample runtime: about 5 KB of spec, seven stages."""

    plain: Object
    runtime_object: Object

    @cached_property
    def job(self) -> ChexTrainingJob:
        loaded = validate_job(self.plain)
        assert loaded.job is not None, loaded.faults
        return loaded.job

    @cached_property
    def runtime(self) -> RuntimeSpec:
        return RuntimeSpec.parse(self.runtime_object["spec"])

    @cached_property
    def judgement(self) -> Accepted:
        found = judge(self.job, self.runtime, plan_identity(self.job.spec), NAMESPACE, lambda: self.job)
        assert isinstance(found, Accepted), found
        return found

    @cached_property
    def plan(self) -> Plan:
        return make_plan(self.job, dict.fromkeys(digest_keys(self.job.spec), "0" * 64))

    def named(self, name: str, *, live: bool) -> Object:
        """The manifest of one job."""
        made = copy.deepcopy(self.plain)
        made["metadata"] = {
            "name": name,
            "namespace": NAMESPACE,
            "finalizers": [FINALIZER] if live else [],
        }
        return made


def sample() -> Manifest:
    """The manifest that is stored again and again."""
    plain = yaml.safe_load((SAMPLES / "own-hospital.yaml").read_text())
    spec = plain["spec"]
    spec["runtimeRef"] = {"kind": CLUSTER_RUNTIMES.kind, "name": "h200"}
    spec["artifacts"]["uri"] = ARTIFACTS
    spec["encoders"]["text"]["init"]["uri"] = "s3://radiology-data/biomedical-bert"
    spec["runPolicy"] = {"queueName": "research", "ttlSecondsAfterFinished": TTL_SECONDS}
    return Manifest(plain, yaml.safe_load((SAMPLES / "runtime.yaml").read_text()))


class Stored:
    """What there is to be stored of each job.

    Attributes:
        live_notes: the ConfigMap that the driver of a live job tells progress in, by the job's name.
        done: what drivers have told since, of `TOTAL`, by the job's name.
    """

    def __init__(self, manifest: Manifest, now: float) -> None:
        self._manifest, self._now = manifest, now
        self._live = _live_world(manifest, now)
        self._ended = _ended_world(manifest, now)
        self._found = json_text(self._live.preflight_result(self._live.stage(PREFLIGHT).attempt_name).plain())
        self.live_notes: dict[str, str] = {}
        self.done: dict[str, int] = {}

    def bytes_of_a_job(self) -> int:
        """Spec and status of a live job, as JSON."""
        plain = self._manifest.job.spec.plain(), self._live.status.told()
        return sum(len(json.dumps(each, separators=(",", ":"))) for each in plain)

    async def store(self, client: Client, live: int, ended: int) -> None:
        """Store so many jobs, live ones with their children, in no particular order."""
        wanted = [("live", number) for number in range(live)] + [("ended", number) for number in range(ended)]
        random.Random(0).shuffle(wanted)
        await at_most(
            AT_ONCE, (self._store_one(client, f"{kind}-{number:05}", kind) for kind, number in wanted)
        )

    async def _store_one(self, client: Client, name: str, kind: str) -> None:
        made = await client.create(JOBS, self._manifest.named(name, live=kind == "live"))
        job = JobReference(NAMESPACE, name, made["metadata"]["uid"], made["metadata"]["generation"])
        world = self._live if kind == "live" else self._ended
        if kind == "live":
            for resource, body, status in self._children(job):
                created = await client.create(resource, body)
                if status is not None:
                    await _tell(client, resource, created, status)
                if resource is CONFIGMAPS:
                    self.live_notes[name] = created["metadata"]["name"]  # those of the live stage come last
        await _tell(client, JOBS, made, self._renamed(job, world.status).told())

    def _renamed(self, job: JobReference, status: JobStatus) -> JobStatus:
        """A status of the imagined job, with the names that follow from another job's uid."""
        stages = tuple(
            stage.model_copy(update={"attempt_name": attempt_name(_reference(job, stage))})
            if stage.attempt
            else stage
            for stage in status.stages
        )
        return status.model_copy(update={"stages": stages, "plan": self._frozen(job).name})

    def _frozen(self, job: JobReference) -> FrozenPlan:
        manifest = self._manifest
        return freeze(job, plan_identity(manifest.job.spec), manifest.plan, manifest.runtime)

    def _children(self, job: JobReference) -> Iterator[Write]:
        yield CONFIGMAPS, plan_objects(job, self._frozen(job), self._manifest.plan)[-1], None
        for stage in self._live.status.stages:
            if stage.name == PREFLIGHT:
                yield from self._preflight(job, stage)
            elif stage.attempt:
                yield from self._attempt(job, stage)

    def _preflight(self, job: JobReference, stage: StageStatus) -> Iterator[Write]:
        manifest = self._manifest
        preflight = Preflight(
            job,
            manifest.job.plain(),
            stage.identity,
            stage.attempt,
            manifest.runtime,
            manifest.job.spec.run_policy,
        )
        notes = preflight_config_map(preflight)
        notes["data"][RESULT] = self._found
        yield CONFIGMAPS, notes, None
        yield BATCH_JOBS, preflight_job(preflight), _complete(self._now - BEGAN_SECONDS_AGO)

    def _attempt(self, job: JobReference, stage: StageStatus) -> Iterator[Write]:
        manifest = self._manifest
        spec = next(each for each in manifest.plan.stages if stage_label(each) == stage.name)
        pool = pool_named(manifest.runtime, placement_of(spec, manifest.runtime).pool)
        attempt = Attempt(
            AttemptReference(job, spec.kind, spec.name, spec.identity, stage.attempt),
            document_of(spec),
            manifest.runtime,
            manifest.job.spec.run_policy,
            WorkerGroup(pool, stage.workers),
        )
        runs = stage.name == LIVE_STAGE
        notes = progress_config_map(attempt.reference)
        notes["data"] = {PROGRESS: progress_text(DONE_AT_FIRST if runs else TOTAL)}
        if not runs:
            notes["data"][RESULT] = json_text(
                StageResult(
                    manifest_uri=stage.manifest_uri, manifest_sha256=stage.manifest_sha256, summary=SUMMARY
                ).plain()
            )
        yield CONFIGMAPS, notes, None
        run = ray_job(attempt)
        status = _running(run) if runs else _succeeded(run)
        yield RAYJOBS, run, status
        if runs:
            yield from _pods({**run, "status": status})


SUMMARY: Object = {"films": 48_211, "patients": 13_702, "seconds": 1_804.2, "epochs": 50, "loss": 5.8131}


def progress_text(done: float) -> str:
    """What a driver tells in the midst of a pretraining."""
    progress = StageProgress(
        done=done,
        total=TOTAL,
        committed=DONE_AT_FIRST,
        unit="steps",
        message="epoch 12 of 50",
        metrics={"loss": 5.8131, "filmsPerSecond": 1801.3, "waitsForData": 0.02, "learningRate": 1.9e-4},
        eta_seconds=80_000.0,
    )
    return json_text(progress.plain())


async def at_most(count: int, work: Iterable[Awaitable[Any]]) -> None:
    """Await all of it, so many at a time."""
    waiting = iter(work)

    async def worker() -> None:
        for each in waiting:
            await each

    await asyncio.gather(*(worker() for _ in range(count)))


async def _tell(client: Client, resource: Resource, created: Object, status: Object) -> None:
    metadata = created["metadata"]
    await client.patch_status(
        resource,
        metadata["namespace"],
        metadata["name"],
        status,
        resource_version=metadata["resourceVersion"],
    )


def _live_world(manifest: Manifest, now: float) -> World:
    """A job some hours after its start, in the midst of its second pretraining."""
    world = World(manifest.judgement, now=now - BEGAN_SECONDS_AGO)
    attempt = world.run_to(LIVE_STAGE)
    world.now = now
    progress = StageProgress.parse(json.loads(progress_text(DONE_AT_FIRST)))
    world.progress_records[attempt] = replace(world.progress_records[attempt], progress=progress)
    world.settle()
    return world


def _ended_world(manifest: Manifest, now: float) -> World:
    """A job that was complete longer ago than its objects are kept."""
    world = World(manifest.judgement, now=now - ENDED_SECONDS_AGO)
    world.run_to_the_end()
    return world


def _reference(job: JobReference, stage: StageStatus) -> AttemptReference:
    kind, _, name = stage.name.partition("/")
    return AttemptReference(job, kind, name, stage.identity, stage.attempt)


def _complete(at: float) -> Object:
    words = {
        "status": "True",
        "reason": "CompletionsReached",
        "message": "Reached expected number of succeeded pods",
    }
    conditions = [
        {"type": kind, "lastTransitionTime": timestamp(at), **words}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    return {
        "startTime": timestamp(at),
        "completionTime": timestamp(at),
        "succeeded": 1,
        "conditions": conditions,
    }


def _running(run: Object) -> Object:
    workers = sum(group["replicas"] for group in run["spec"]["rayClusterSpec"]["workerGroupSpecs"])
    name = f"{run['metadata']['name']}-x7k2p"
    return {
        "jobId": f"{run['metadata']['name']}-fzq8d",
        "rayClusterName": name,
        "dashboardURL": f"{name}-head-svc.{NAMESPACE}.svc.cluster.local:8265",
        "jobStatus": "RUNNING",
        "jobDeploymentStatus": "Running",
        "message": "Job is currently running.",
        "rayClusterStatus": {
            "state": "ready",
            "desiredWorkerReplicas": workers,
            "readyWorkerReplicas": workers,
            "availableWorkerReplicas": workers,
            "head": {"podName": f"{name}-head-9cvxw", "serviceName": f"{name}-head-svc"},
        },
    }


def _succeeded(run: Object) -> Object:
    return {**_running(run), "jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Complete"}


def _pods(run: Object) -> Iterator[Write]:
    """As KubeRay makes them: the head, the workers, the submitter."""
    for each in (run["metadata"], run["status"]):
        each.setdefault("uid", "0e9dd46a-6c4c-44c7-b3f5-4a5c3a3c8f11")
    cluster = ray_cluster(run, run["status"]["rayClusterName"])
    cluster["metadata"]["uid"] = run["metadata"]["uid"]
    pods = [cluster_pod(cluster, place) for place in places(cluster)]
    submitter = submitter_job(run)
    submitter["metadata"]["uid"] = run["metadata"]["uid"]
    pods.append(submitter_pod(submitter))
    for pod in pods:
        yield PODS, pod, running_status(pod)
