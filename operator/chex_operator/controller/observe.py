"""From caches to `Observed`. Reads the API server only where a lagging cache would mislead a pass."""

from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

import orjson
from pydantic import ValidationError

from chex_api.faults import Fault
from chex_api.job import ChexTrainingJob
from chex_api.loading import LoadResult, validate_job
from chex_api.runtime import RuntimeSpec
from chex_api.status import JobStatus
from chex_operator.controller.caches import Caches
from chex_operator.controller.projections import (
    FINALIZER,
    ConfigMapProjection,
    JobProjection,
    progress_record_of,
    project_batch_job,
    project_config_map,
    project_ray_job,
)
from chex_operator.kube.client import Client
from chex_operator.kube.errors import NotFound
from chex_operator.kube.resource import BATCH_JOBS, CONFIGMAPS, RAYJOBS, Object
from chex_operator.rendering import PREFLIGHT, JobReference
from chex_operator.rendering.names import progress_name
from chex_operator.rules import reasons
from chex_operator.rules.admission import Judgement, Refused, judge, refusal_of_faults
from chex_operator.rules.frozen_plan import PLAN_ROLE, FrozenPlan, plan_identity, read_plan
from chex_operator.rules.observed import AttemptObject, Observed, Pod, ProgressRecord
from chex_operator.rules.outcome import has_ended
from chex_operator.rules.stage_state import LIVE_STATES

REMEMBERED = 2048
"""Judgements and plans: passes need them again and again; those of jobs at rest are dropped and read again."""
Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """The most recently used values."""

    def __init__(self) -> None:
        self._values: OrderedDict[object, Value] = OrderedDict()

    def get(self, key: object) -> Value | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: object, value: Value) -> Value:
        self._values[key] = value
        if len(self._values) > REMEMBERED:
            self._values.popitem(last=False)
        return value


class Observer:
    """Builds `Observed`."""

    def __init__(self, caches: Caches, client: Client) -> None:
        self._caches, self._client = caches, client
        self._judgements: _Recent[Judgement] = _Recent()
        self._plans: _Recent[FrozenPlan] = _Recent()

    def status(self, job: JobProjection) -> JobStatus:
        """The status of a job."""
        _, plain_status = job.spec_and_status()
        return read_status(plain_status)

    async def observe(self, job: JobProjection) -> Observed:
        """Everything about a job."""
        spec, plain_status = job.spec_and_status()
        status = read_status(plain_status)
        reference = JobReference(job.namespace, job.name, job.uid, job.generation)
        plan = await self._plan(job, status)
        attempt_objects = self._attempt_objects(job)
        attempt_objects |= await self._uncached_attempt_objects(job, status, attempt_objects)
        return Observed(
            job=reference,
            judgement=self._judgement(job, spec, plan, accepted_identity(status, job.generation)),
            status=status,
            deleting_since=job.deleting_since,
            has_finalizer=FINALIZER in job.finalizers,
            plan=plan,
            attempt_objects=attempt_objects,
            progress_records=await self._progress_records(job, status, attempt_objects),
            pods=self._pods(job),
        )

    def _attempt_objects(self, job: JobProjection) -> dict[str, AttemptObject]:
        ray_jobs, batch_jobs = self._caches.ray_jobs, self._caches.batch_jobs
        projections = ray_jobs.labelled(job.namespace, job.uid) + batch_jobs.labelled(job.namespace, job.uid)
        # KubeRay's submitter is a Job of its own that bears our labels too: it belongs to its RayJob.
        own = [each.attempt_object for each in projections if each.job_name == job.name]
        return {attempt_object.name: attempt_object for attempt_object in own}

    async def _uncached_attempt_objects(
        self, job: JobProjection, status: JobStatus, cached: dict[str, AttemptObject]
    ) -> dict[str, AttemptObject]:
        """Objects of attempts that a cache lacks, which proves nothing.

        They were asked to stop before they were observed, or were observed earlier, perhaps by another replica.
        """
        found: dict[str, AttemptObject] = {}
        for stage in status.stages:
            expected = stage.state == "Stopping" or (
                stage.state == "Running" and stage.launch_time is not None
            )
            if not expected or stage.attempt_name in cached:
                continue
            kind, project = (
                (BATCH_JOBS, project_batch_job) if stage.name == PREFLIGHT else (RAYJOBS, project_ray_job)
            )
            try:
                item = await self._client.get(kind, job.namespace, stage.attempt_name)
            except NotFound:
                continue
            found[stage.attempt_name] = project(item).attempt_object
        return found

    def _pods(self, job: JobProjection) -> dict[str, tuple[Pod, ...]]:
        found: dict[str, list[Pod]] = {}
        present = [each.pod for each in self._caches.pods.labelled(job.namespace, job.uid)]
        for pod in present + self._caches.pod_failures.of_job(job.namespace, job.uid):
            found.setdefault(pod.attempt, []).append(pod)
        return {name: tuple(pods) for name, pods in found.items()}

    async def _progress_records(
        self, job: JobProjection, status: JobStatus, attempt_objects: dict[str, AttemptObject]
    ) -> dict[str, ProgressRecord]:
        """The progress records of attempts. Of one whose end is not in the status yet, as it is now: its last report counts."""
        found = {
            each.attempt: progress_record_of(each)
            for each in self._caches.config_maps.labelled(job.namespace, job.uid)
            if each.role != PLAN_ROLE and each.attempt
        }
        for stage in status.stages:
            attempt_object = attempt_objects.get(stage.attempt_name)
            if (
                stage.state not in LIVE_STATES
                or attempt_object is None
                or not has_ended(attempt_object.state)
            ):
                continue
            found.pop(stage.attempt_name, None)
            newest = await self._read(job.namespace, progress_name(stage.attempt_name))
            if newest is not None and newest.job_uid == job.uid:
                found[stage.attempt_name] = progress_record_of(newest)
        return found

    async def _plan(self, job: JobProjection, status: JobStatus) -> FrozenPlan | None:
        if not status.plan:
            return None
        key = (job.uid, status.plan)
        held = self._caches.config_maps.get(job.namespace, status.plan)
        known = self._plans.get(key)
        if held is not None and known is not None:
            return known
        held = held or await self._read(job.namespace, status.plan)
        if held is None or held.job_uid != job.uid:
            return None
        try:
            return self._plans.put(key, read_plan(held.data()))
        except (KeyError, ValueError):
            return None  # of another version of the operator, or somebody else's: a preflight makes a new one

    async def _read(self, namespace: str, name: str) -> ConfigMapProjection | None:
        try:
            return project_config_map(await self._client.get(CONFIGMAPS, namespace, name))
        except NotFound:
            return None

    def _judgement(
        self, job: JobProjection, spec: Object, plan: FrozenPlan | None, accepted: str | None
    ) -> Judgement:
        """The judgement, repeated only when the manifest, the runtime or the plan is another one."""
        kind, name = job.runtime
        runtime = self._caches.runtime(kind, job.namespace, name)
        version = runtime.version if runtime else ""
        key = (job.uid, job.generation, version, plan.name if plan else "", accepted)
        known = self._judgements.get(key)
        if known is not None:
            return known
        return self._judgements.put(key, self._judge(job, spec, plan, accepted))

    def _judge(
        self, job: JobProjection, spec: Object, plan: FrozenPlan | None, accepted: str | None
    ) -> Judgement:
        """A running plan keeps the runtime snapshot it started with."""
        loaded = _loaded(job, spec)
        if loaded.job is None:
            return refusal_of_faults(loaded.faults)
        identity = accepted or plan_identity(loaded.job.spec)
        runtime = plan.runtime if plan is not None and plan.identity == identity else self._runtime(job)
        if isinstance(runtime, Refused):
            return replace(runtime, policy=loaded.job.spec.run_policy)
        return judge(loaded.job, runtime, identity, job.namespace, partial(_manifest, job))

    def _runtime(self, job: JobProjection) -> RuntimeSpec | Refused:
        kind, name = job.runtime
        if not name:
            return Refused(*reasons.NO_RUNTIME)
        held = self._caches.runtime(kind, job.namespace, name)
        if held is None:
            if kind != "ChexRuntime" and self._caches.cluster_runtimes is None:
                return Refused(*reasons.RUNTIME_NOT_SERVED.with_details(kind=kind, name=name))
            where = f" in namespace {job.namespace}" if kind == "ChexRuntime" else ""
            return Refused(*reasons.RUNTIME_NOT_FOUND.with_details(kind=kind, name=name, where=where))
        try:
            return RuntimeSpec.parse(held.plain_spec())
        except ValidationError as error:
            faults = tuple(
                Fault(".".join(str(part) for part in each["loc"]), str(each["msg"]))
                for each in error.errors()
            )
            message = refusal_of_faults(faults).message
            return Refused(*reasons.RUNTIME_INVALID.with_details(kind=kind, name=name, faults=message))


def _loaded(job: JobProjection, spec: Object) -> LoadResult:
    plain: Object = {
        "apiVersion": "chexdragon.dev/v1alpha1",
        "kind": "ChexTrainingJob",
        "metadata": {"name": job.name, "namespace": job.namespace},
        "spec": spec,
    }
    return validate_job(plain)


def _manifest(job: JobProjection) -> ChexTrainingJob:
    """The manifest of a job that was found valid before."""
    spec, _ = job.spec_and_status()
    manifest = _loaded(job, spec).job
    assert manifest is not None
    return manifest


def accepted_identity(status: JobStatus, generation: int) -> str | None:
    """The identity of a manifest that was accepted at this very generation; None for one that was not.

    Another version of the operator might compute another one, and would take an untouched job for an edited one.
    """
    valid = any(
        (each.type, each.status, each.observed_generation) == ("Valid", "True", generation)
        for each in status.conditions
    )
    preflight = status.stages[0] if status.stages and status.stages[0].name == PREFLIGHT else None
    return preflight.identity if valid and preflight is not None else None


def read_status(plain: Object) -> JobStatus:
    """A status as this or another version of the operator wrote it: unknown fields are ignored."""
    return JobStatus.model_validate_json(orjson.dumps(plain), extra="ignore")
