"""From caches to what a pass looks at. Reads the API server only where a cache may lag behind what must not be guessed."""

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
from chex_operator.controller.views import (
    FINALIZER,
    ConfigMapView,
    JobView,
    config_map_view,
    job_run_view,
    notes_of,
    ray_job_view,
)
from chex_operator.kube.client import Client
from chex_operator.kube.errors import NotFound
from chex_operator.kube.resource import BATCH_JOBS, CONFIGMAPS, RAYJOBS, Object
from chex_operator.rendering import PREFLIGHT, JobReference
from chex_operator.rendering.names import progress_name
from chex_operator.rules.admission import Judgement, Refused, judge, refusal_of_faults
from chex_operator.rules.frozen_plan import PLAN_ROLE, FrozenPlan, plan_identity, read_plan
from chex_operator.rules.observed import Notes, Observed, Pod, Run
from chex_operator.rules.outcome import has_ended
from chex_operator.rules.stage_state import LIVE_STATES

REMEMBERED = 2048
"""Judgements and plans: what passes need again and again, and what is read anew for jobs that rest."""
Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """The values that were asked for last."""

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

    def status(self, view: JobView) -> JobStatus:
        """What is told of a job."""
        _, plain_status = view.spec_and_status()
        return read_status(plain_status)

    async def observe(self, view: JobView) -> Observed:
        """Everything about a job."""
        spec, plain_status = view.spec_and_status()
        status = read_status(plain_status)
        job = JobReference(view.namespace, view.name, view.uid, view.generation)
        plan = await self._plan(view, status)
        runs = self._runs(view)
        runs |= await self._unseen_runs(view, status, runs)
        return Observed(
            job=job,
            judgement=self._judgement(view, spec, plan, accepted_identity(status, view.generation)),
            status=status,
            deleting_since=view.deleting_since,
            has_finalizer=FINALIZER in view.finalizers,
            plan=plan,
            runs=runs,
            notes=await self._notes(view, status, runs),
            pods=self._pods(view),
        )

    def _runs(self, view: JobView) -> dict[str, Run]:
        ray_jobs, batch_jobs = self._caches.ray_jobs, self._caches.batch_jobs
        views = ray_jobs.labelled(view.namespace, view.uid) + batch_jobs.labelled(view.namespace, view.uid)
        # KubeRay's submitter is a Job of its own that bears our labels too: it belongs to its RayJob.
        own = [each.run for each in views if each.job_name == view.name]
        return {run.name: run for run in own}

    async def _unseen_runs(self, view: JobView, status: JobStatus, cached: dict[str, Run]) -> dict[str, Run]:
        """Runs that a cache lacks, which proves nothing.

        They were asked to stop before anybody saw them, or were seen already, by another replica perhaps.
        """
        found: dict[str, Run] = {}
        for stage in status.stages:
            expected = stage.state == "Stopping" or (
                stage.state == "Running" and stage.launch_time is not None
            )
            if not expected or stage.attempt_name in cached:
                continue
            kind, project = (BATCH_JOBS, job_run_view) if stage.name == PREFLIGHT else (RAYJOBS, ray_job_view)
            try:
                item = await self._client.get(kind, view.namespace, stage.attempt_name)
            except NotFound:
                continue
            found[stage.attempt_name] = project(item).run
        return found

    def _pods(self, view: JobView) -> dict[str, tuple[Pod, ...]]:
        found: dict[str, list[Pod]] = {}
        present = [each.pod for each in self._caches.pods.labelled(view.namespace, view.uid)]
        for pod in present + self._caches.gone_pods.of(view.namespace, view.uid):
            found.setdefault(pod.attempt, []).append(pod)
        return {name: tuple(pods) for name, pods in found.items()}

    async def _notes(self, view: JobView, status: JobStatus, runs: dict[str, Run]) -> dict[str, Notes]:
        """The notes of attempts. Of one that has ended and was not told so yet, as they are now: its last words count."""
        found = {
            each.attempt: notes_of(each)
            for each in self._caches.config_maps.labelled(view.namespace, view.uid)
            if each.role != PLAN_ROLE and each.attempt
        }
        for stage in status.stages:
            run = runs.get(stage.attempt_name)
            if stage.state not in LIVE_STATES or run is None or not has_ended(run.state):
                continue
            found.pop(stage.attempt_name, None)
            newest = await self._read(view.namespace, progress_name(stage.attempt_name))
            if newest is not None and newest.job_uid == view.uid:
                found[stage.attempt_name] = notes_of(newest)
        return found

    async def _plan(self, view: JobView, status: JobStatus) -> FrozenPlan | None:
        if not status.plan:
            return None
        key = (view.uid, status.plan)
        held = self._caches.config_maps.get(view.namespace, status.plan)
        known = self._plans.get(key)
        if held is not None and known is not None:
            return known
        held = held or await self._read(view.namespace, status.plan)
        if held is None or held.job_uid != view.uid:
            return None
        try:
            return self._plans.put(key, read_plan(held.data()))
        except (KeyError, ValueError):
            return None  # of another version of this program, or somebody's: a preflight makes a new one

    async def _read(self, namespace: str, name: str) -> ConfigMapView | None:
        try:
            return config_map_view(await self._client.get(CONFIGMAPS, namespace, name))
        except NotFound:
            return None

    def _judgement(
        self, view: JobView, spec: Object, plan: FrozenPlan | None, accepted: str | None
    ) -> Judgement:
        """Judged anew only when the manifest, the runtime or the plan is another one."""
        kind, name = view.runtime
        runtime = self._caches.runtime(kind, view.namespace, name)
        version = runtime.version if runtime else ""
        key = (view.uid, view.generation, version, plan.name if plan else "", accepted)
        known = self._judgements.get(key)
        if known is not None:
            return known
        return self._judgements.put(key, self._judge(view, spec, plan, accepted))

    def _judge(self, view: JobView, spec: Object, plan: FrozenPlan | None, accepted: str | None) -> Judgement:
        """What runs keeps the runtime that it was begun with."""
        loaded = _loaded(view, spec)
        if loaded.job is None:
            return refusal_of_faults(loaded.faults)
        identity = accepted or plan_identity(loaded.job.spec)
        runtime = plan.runtime if plan is not None and plan.identity == identity else self._runtime(view)
        if isinstance(runtime, Refused):
            return replace(runtime, policy=loaded.job.spec.run_policy)
        return judge(loaded.job, runtime, identity, view.namespace, partial(_manifest, view))

    def _runtime(self, view: JobView) -> RuntimeSpec | Refused:
        kind, name = view.runtime
        if not name:
            message = "spec.runtimeRef is required in a cluster; name a runtime: kubectl get clusterchexruntimes,chexruntimes"
            return Refused("NoRuntime", message)
        held = self._caches.runtime(kind, view.namespace, name)
        if held is None:
            where = f" in namespace {view.namespace}" if kind == "ChexRuntime" else ""
            hint = (
                "; this operator serves one namespace and knows ChexRuntimes only"
                if self._caches.cluster_runtimes is None and kind != "ChexRuntime"
                else ""
            )
            return Refused("RuntimeNotFound", f"spec.runtimeRef: there is no {kind} {name!r}{where}{hint}")
        try:
            return RuntimeSpec.parse(held.plain_spec())
        except ValidationError as error:
            faults = tuple(
                Fault(".".join(str(part) for part in each["loc"]), str(each["msg"]))
                for each in error.errors()
            )
            return Refused("RuntimeInvalid", f"{kind} {name!r}: {refusal_of_faults(faults).message}")


def _loaded(view: JobView, spec: Object) -> LoadResult:
    plain: Object = {
        "apiVersion": "chexdragon.dev/v1alpha1",
        "kind": "ChexTrainingJob",
        "metadata": {"name": view.name, "namespace": view.namespace},
        "spec": spec,
    }
    return validate_job(plain)


def _manifest(view: JobView) -> ChexTrainingJob:
    """The manifest of a job that was found valid before."""
    spec, _ = view.spec_and_status()
    job = _loaded(view, spec).job
    assert job is not None
    return job


def accepted_identity(status: JobStatus, generation: int) -> str | None:
    """What identifies a manifest that was accepted already at this very generation; None for one that was not.

    Another version of this program might compute another one, and would take a job that nobody touched for an edited one.
    """
    valid = any(
        (each.type, each.status, each.observed_generation) == ("Valid", "True", generation)
        for each in status.conditions
    )
    preflight = status.stages[0] if status.stages and status.stages[0].name == PREFLIGHT else None
    return preflight.identity if valid and preflight is not None else None


def read_status(plain: Object) -> JobStatus:
    """A status as it was written, by this version of the operator or another one: fields that it does not know are passed over."""
    return JobStatus.model_validate_json(orjson.dumps(plain), extra="ignore")
