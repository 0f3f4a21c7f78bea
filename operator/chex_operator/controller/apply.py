"""Carries out what a pass decided. Every step may have been done before, by us or by a replica that died."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chex_api.status import JobStatus, StageStatus
from chex_operator.controller.fields import parts, text
from chex_operator.controller.projections import FINALIZER, JobProjection, stop_text
from chex_operator.kube.client import Client, listed
from chex_operator.kube.clock import Clock
from chex_operator.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound
from chex_operator.kube.resource import (
    BATCH_JOBS,
    CONFIGMAPS,
    JOBS,
    NETWORKPOLICIES,
    RAYJOBS,
    ROLEBINDINGS,
    ROLES,
    Object,
    Resource,
)
from chex_operator.reconcile.actions import (
    NEEDS_THE_JOB_AS_IT_IS,
    Action,
    AddFinalizer,
    DeleteAttemptObject,
    DeletePlan,
    DeleteSupport,
    FreezePlan,
    RemoveFinalizer,
    RequestStop,
    StartPreflight,
    StartStage,
)
from chex_operator.reconcile.decide import Decision
from chex_operator.rendering import (
    PREFLIGHT,
    Attempt,
    AttemptReference,
    WorkerGroup,
    preflight_job,
    preflight_support,
    ray_job,
    supporting_objects,
)
from chex_operator.rendering.names import JOB_UID_LABEL, ROLE_LABEL, progress_name, stage_name
from chex_operator.rules import reasons
from chex_operator.rules.frozen_plan import STAGE_ROLE, frozen_document, plan_objects
from chex_operator.rules.observed import Observed
from chex_operator.rules.placement import pool_named
from chex_operator.rules.stage_state import MOST_CHARACTERS
from chex_operator.rules.timestamps import timestamp

KINDS: dict[str, Resource] = {
    each.kind: each for each in (CONFIGMAPS, ROLES, ROLEBINDINGS, NETWORKPOLICIES, RAYJOBS, BATCH_JOBS)
}
SOFT_FIELDS = ("eta", "gpuHours")
"""They change all the time in every running job, so they alone are written no more often than every `SOFT_SECONDS`."""
SOFT_SECONDS = 300.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ApplyResult:
    """What a pass has done.

    Attributes:
        status_written: whether the status was written.
        released: whether the finalizer of a deleted job was removed; no status follows.
        retryable: why something could not be created that may be created a moment later; the pass is to be repeated.
    """

    status_written: bool
    released: bool = False
    retryable: ApiError | None = None


class NotLeading(Exception):
    """Another replica may act by now: nothing more is written."""


class Applier:
    """Writes for one job at a time; passes over different jobs may overlap."""

    def __init__(self, client: Client, clock: Clock, leads: Callable[[], bool]) -> None:
        """`leads` is asked before each write: a process that was stopped for a while must not go on where it was."""
        self._client, self._clock, self._leads = client, clock, leads
        self._written_at: dict[str, float] = {}

    def forget(self, uid: str) -> None:
        """The job is gone."""
        self._written_at.pop(uid, None)

    async def apply(self, job: JobProjection, observed: Observed, decision: Decision) -> ApplyResult:
        """Carry out a decision, and write the status last.

        Raises:
            Conflict: The job has changed since it was observed; the pass is to be repeated.
            NotLeading: Leadership has ended.
            ApiError: Another call failed; the pass is to be repeated later. A failed creation is reported in the status instead.
        """
        if any(isinstance(action, NEEDS_THE_JOB_AS_IT_IS) for action in decision.actions):
            await self._ensure_unchanged(job)
        version, troubles = job.version, dict[str, ApiError]()
        releases = job.deleting_since is not None and any(
            isinstance(action, RemoveFinalizer) for action in decision.actions
        )
        for action in decision.actions:
            self._ensure_leading()
            if isinstance(action, AddFinalizer):
                version = await self._set_finalizers(job, (*job.finalizers, FINALIZER), version)
            elif isinstance(action, RemoveFinalizer):
                kept = tuple(each for each in job.finalizers if each != FINALIZER)
                version = await self._set_finalizers(job, kept, version)
                if job.deleting_since is not None:
                    return ApplyResult(status_written=False, released=True)
            elif isinstance(action, DeleteAttemptObject) and releases:
                await self._delete_if_possible(job.namespace, action)
            else:
                await self._carry_out(job, observed, action, troubles)
        written = await self._write_status(job, _with_troubles(decision.status, troubles), version)
        retryable = (each for each in troubles.values() if not isinstance(each, Forbidden | Invalid))
        return ApplyResult(written, retryable=next(retryable, None))

    def _ensure_leading(self) -> None:
        if not self._leads():
            raise NotLeading("leadership has ended; nothing more is written")

    async def _ensure_unchanged(self, job: JobProjection) -> None:
        """Start, stop and delete by the job as it is, not by a cache that may be behind."""
        try:
            live = await self._client.get(JOBS, job.namespace, job.name)
        except NotFound:
            raise Conflict(409, "Gone", "the job is gone") from None
        metadata = live["metadata"]
        if (metadata["uid"], metadata["resourceVersion"]) != (job.uid, job.version):
            raise Conflict(409, "Stale", "the job has changed since it was looked at")

    async def _carry_out(
        self, job: JobProjection, observed: Observed, action: Action, troubles: dict[str, ApiError]
    ) -> None:
        if isinstance(action, StartPreflight):
            preflight = action.preflight
            await self._start(
                job, PREFLIGHT, preflight_support(preflight), preflight_job(preflight), troubles
            )
        elif isinstance(action, StartStage):
            await self._start_stage(job, observed, action, troubles)
        elif isinstance(action, FreezePlan):
            await self._freeze_plan(job, observed, action, troubles)
        elif isinstance(action, RequestStop):
            await self._request_stop(job, observed, action)
        elif isinstance(action, DeleteAttemptObject):
            await self._delete_attempt_object(job.namespace, action)
        elif isinstance(action, DeleteSupport):
            await self._delete_support(job.namespace, action)
        elif isinstance(action, DeletePlan):
            await self._delete_plan(job, action.name)

    async def _delete_attempt_object(self, namespace: str, action: DeleteAttemptObject) -> None:
        kind = BATCH_JOBS if action.is_preflight else RAYJOBS
        logger.info("deleting %s %s", kind.kind, action.attempt)
        await self._client.delete(kind, namespace, action.attempt, uid=action.uid)

    async def _delete_if_possible(self, namespace: str, action: DeleteAttemptObject) -> None:
        """Delete for a job that no longer waits for its attempts: an object that cannot be deleted must not block a namespace."""
        try:
            await self._delete_attempt_object(namespace, action)
        except ApiError as error:
            logger.warning("%s could not be deleted, and is not waited for: %s", action.attempt, error)

    async def _start_stage(
        self, job: JobProjection, observed: Observed, action: StartStage, troubles: dict[str, ApiError]
    ) -> None:
        stage, runtime = action.stage, action.plan.runtime
        try:
            held = await self._client.get(CONFIGMAPS, job.namespace, stage.spec)
        except NotFound:
            # Half a plan is none: without the index, the next pass makes a new one from its preflight.
            await self._delete_plan(job, action.plan.name)
            raise Conflict(409, "Gone", f"ConfigMap {stage.spec} of the plan is gone") from None
        attempt = Attempt(
            AttemptReference(observed.job, stage.kind, stage.name, stage.identity, action.number),
            document=frozen_document(held.get("data") or {}),
            runtime=runtime,
            policy=action.policy,
            workers=WorkerGroup(pool_named(runtime, stage.pool), action.workers) if stage.pool else None,
        )
        await self._start(job, stage.label, supporting_objects(attempt), ray_job(attempt), troubles)

    async def _start(
        self,
        job: JobProjection,
        label: str,
        support: Iterable[Object],
        attempt_object: Object,
        troubles: dict[str, ApiError],
    ) -> None:
        """Create what an attempt needs, then its RayJob or Job.

        What prevents it (quota, admission, a webhook that is down) goes to `troubles`: it is reported in the status and retried
        later; other stages of the job are not held up.

        RoleBindings come after the Roles: to check whether we may grant what a Role grants, the API server reads it, and
        answers 404 where it is missing. It does not check this for administrators.
        """
        bindings, others = _apart(support, ROLEBINDINGS.kind)
        with _noting(troubles, label, f"{attempt_object['kind']} {attempt_object['metadata']['name']}"):
            for wave in (others, bindings):
                await _together(self._provide(job, each) for each in wave)
            await self._create(job, attempt_object)

    async def _provide(self, job: JobProjection, rendered: Object) -> None:
        """Create an object, or update one that an earlier pass created.

        Server-side apply would do both at once, and costs the API server half as much again.
        """
        if rendered.get("immutable"):
            await self._freeze(job, rendered)
            return
        kind = KINDS[rendered["kind"]]
        self._ensure_leading()
        try:
            await self._client.create(kind, rendered)
        except AlreadyExists:
            await self._client.apply(kind, rendered)

    async def _create(self, job: JobProjection, rendered: Object) -> Object:
        """Create an object once, and return it as it is. One of this name that is ours was created by an earlier pass."""
        kind, metadata = KINDS[rendered["kind"]], rendered["metadata"]
        self._ensure_leading()
        try:
            return await self._client.create(kind, rendered)
        except AlreadyExists:
            found = await self._client.get(kind, job.namespace, metadata["name"])
            owners = {text(each, "uid") for each in parts(found["metadata"], "ownerReferences")}
            if job.uid not in owners:
                message = f"{kind.kind} {metadata['name']} is there and belongs to somebody else; delete or rename it"
                raise Invalid(409, "NameTaken", message) from None
            return found

    async def _freeze_plan(
        self, job: JobProjection, observed: Observed, action: FreezePlan, troubles: dict[str, ApiError]
    ) -> None:
        """Create the ConfigMaps of a plan. Until all are there, passes find none, and freeze it again from the same preflight."""
        with _noting(troubles, PREFLIGHT, f"plan {action.frozen.name}"):
            for rendered in plan_objects(observed.job, action.frozen, action.plan):
                await self._freeze(job, rendered)

    async def _freeze(self, job: JobProjection, rendered: Object) -> None:
        """Create an immutable ConfigMap, in place of one that holds something else.

        For a plan, that is one that another version of the operator froze and this one cannot read, or an interrupted freeze.
        For an attempt, an earlier pass wrote it, was cut off before it created the RayJob, and the plan was edited since.
        """
        held = await self._create(job, rendered)
        if held.get("data") != rendered["data"]:
            await self._client.delete(
                CONFIGMAPS, job.namespace, held["metadata"]["name"], uid=held["metadata"]["uid"]
            )
            await self._create(job, rendered)

    async def _request_stop(self, job: JobProjection, observed: Observed, action: RequestStop) -> None:
        record = observed.progress_records.get(action.attempt)
        if record is None:
            return
        text = stop_text(action.why, timestamp(self._clock.now()))
        logger.info("asking %s to stop: %s", action.attempt, action.why)
        name = progress_name(action.attempt)
        change = {"data": {"stop": text}}
        try:
            # Whatever its version: a driver that writes often would always be ahead of the cache.
            await self._client.patch(CONFIGMAPS, job.namespace, name, change, uid=record.uid)
        except (NotFound, Invalid):  # Invalid: another ConfigMap has its name
            raise Conflict(409, "Gone", f"ConfigMap {name} is gone") from None

    async def _delete_support(self, namespace: str, action: DeleteSupport) -> None:
        name = action.attempt
        named = [(NETWORKPOLICIES, name), (ROLEBINDINGS, name), (ROLES, name)]
        if not action.is_preflight:
            named += [(NETWORKPOLICIES, f"{name}-head"), (CONFIGMAPS, stage_name(name))]
        await _together(self._client.delete(kind, namespace, each) for kind, each in named)
        await self._client.delete(CONFIGMAPS, namespace, progress_name(name))

    async def _delete_plan(self, job: JobProjection, name: str) -> None:
        selector = f"{JOB_UID_LABEL}={job.uid},{ROLE_LABEL}={STAGE_ROLE}"
        async for item in listed(self._client, CONFIGMAPS, job.namespace, selector):
            if item["metadata"]["name"].startswith(f"{name}-"):
                await self._client.delete(CONFIGMAPS, job.namespace, item["metadata"]["name"])
        await self._client.delete(CONFIGMAPS, job.namespace, name)

    async def _set_finalizers(self, job: JobProjection, finalizers: tuple[str, ...], version: str) -> str:
        answer = await self._client.patch_metadata(
            JOBS,
            job.namespace,
            job.name,
            {"finalizers": list(finalizers)},
            resource_version=version,
        )
        return str(answer["metadata"]["resourceVersion"])

    async def _write_status(self, job: JobProjection, status: JobStatus, version: str) -> bool:
        _, before = job.spec_and_status()
        plain = status.told()
        changed = {name for name in {*plain, *before} if plain.get(name) != before.get(name)}
        now = self._clock.monotonic()
        if not changed:
            return False
        # A job that this process has not written yet may have been written by the process before a moment ago.
        if changed <= set(SOFT_FIELDS) and now - self._written_at.setdefault(job.uid, now) < SOFT_SECONDS:
            return False
        change = {name: plain.get(name) for name in sorted(changed)}
        self._ensure_leading()
        await self._client.patch_status(JOBS, job.namespace, job.name, change, resource_version=version)
        self._written_at[job.uid] = now
        return True


@contextmanager
def _noting(troubles: dict[str, ApiError], label: str, what: str) -> Generator[None]:
    """Note what prevents a creation for the stage `label`: it is reported and retried later. A conflict ends the pass."""
    try:
        yield
    except Conflict:
        raise
    except ApiError as error:
        logger.warning("%s could not be created: %s", what, error)
        troubles[label] = error


async def _together(calls: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Make calls concurrently. Raises the error of the first that failed, unwrapped; the others are cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(call)
    except* ApiError as failed:
        first = failed.exceptions[0]
    else:
        return
    raise first


def _apart(objects: Iterable[Object], kind: str) -> tuple[list[Object], list[Object]]:
    """Those of a kind, and the others."""
    listed = list(objects)
    return [each for each in listed if each["kind"] == kind], [
        each for each in listed if each["kind"] != kind
    ]


def _with_troubles(status: JobStatus, troubles: dict[str, ApiError]) -> JobStatus:
    if not troubles:
        return status

    def with_trouble(stage: StageStatus) -> StageStatus:
        error = troubles.get(stage.name)
        if error is None:
            return stage
        what = "the plan" if stage.state == "Finished" else "it"
        if isinstance(error, Forbidden | Invalid):
            explanation = reasons.CREATION_FORBIDDEN.with_details(what=what, error=error)
        else:
            answer = f"{error.status or 'no answer'} {error.reason}".rstrip()
            explanation = reasons.CREATION_IMPOSSIBLE.with_details(what=what, answer=answer)
        message = explanation.message[:MOST_CHARACTERS]
        return stage.model_copy(update={"reason": explanation.reason, "message": message})

    return status.model_copy(update={"stages": tuple(with_trouble(stage) for stage in status.stages)})
