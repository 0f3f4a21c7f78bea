"""Carries out what was decided. Every step may have been done before, by us or by a replica that died: that is fine."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from chex_api.status import JobStatus, StageStatus
from chex_operator.controller.fields import parts, text
from chex_operator.controller.views import FINALIZER, JobView, stop_text
from chex_operator.policy.actions import (
    NEEDS_THE_JOB_AS_IT_IS,
    Action,
    AddFinalizer,
    DeletePlan,
    DeleteRun,
    DeleteSupport,
    FreezePlan,
    RemoveFinalizer,
    RequestStop,
    StartPreflight,
    StartStage,
)
from chex_operator.policy.decide import Decision
from chex_operator.policy.frozen_plan import STAGE_ROLE, plan_objects, read_stage
from chex_operator.policy.moments import timestamp
from chex_operator.policy.observed import Observed
from chex_operator.policy.placement import pool_named
from chex_operator.rendering import (
    PREFLIGHT,
    Attempt,
    WorkerGroup,
    preflight_job,
    preflight_support,
    ray_job,
    supporting_objects,
)
from chex_operator.rendering.names import JOB_UID_LABEL, ROLE_LABEL
from chex_operator.runtime.client import Client
from chex_operator.runtime.clock import Clock
from chex_operator.runtime.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound
from chex_operator.runtime.resource import (
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

KINDS: dict[str, Resource] = {
    each.kind: each for each in (CONFIGMAPS, ROLES, ROLEBINDINGS, NETWORKPOLICIES, RAYJOBS, BATCH_JOBS)
}
SOFT_FIELDS = ("eta", "gpuHours")
"""Not worth a write of their own more often than this: they change all the time, in every job that runs."""
SOFT_SECONDS = 300.0

logger = logging.getLogger(__name__)


class NotLeading(Exception):
    """Another replica may act by now: nothing more is written."""


class Actor:
    """Writes for one job at a time; passes over different jobs may overlap."""

    def __init__(self, client: Client, clock: Clock, leads: Callable[[], bool]) -> None:
        """`leads` is asked before each write: a process that was stopped for a while must not go on where it was."""
        self._client, self._clock, self._leads = client, clock, leads
        self._written_at: dict[str, float] = {}

    def forget(self, uid: str) -> None:
        """The job is gone."""
        self._written_at.pop(uid, None)

    async def act(self, view: JobView, observed: Observed, decision: Decision) -> bool:
        """Do what was decided, and tell the status last. Whether a status was written.

        Raises:
            Conflict: The job is not what was looked at any more; the pass is to be repeated.
            NotLeading: Leadership has ended.
            ApiError: Some other call failed; likewise, later.
        """
        if any(isinstance(action, NEEDS_THE_JOB_AS_IT_IS) for action in decision.actions):
            await self._make_sure(view)
        version, refusals = view.version, dict[str, str]()
        for action in decision.actions:
            self._make_sure_to_lead()
            if isinstance(action, AddFinalizer):
                version = await self._set_finalizers(view, (*view.finalizers, FINALIZER), version)
            elif isinstance(action, RemoveFinalizer):
                kept = tuple(each for each in view.finalizers if each != FINALIZER)
                await self._set_finalizers(view, kept, version)
                return False
            else:
                await self._carry_out(view, observed, action, refusals)
        return await self._tell(view, _with_refusals(decision.status, refusals), version)

    def _make_sure_to_lead(self) -> None:
        if not self._leads():
            raise NotLeading("leadership has ended; nothing more is written")

    async def _make_sure(self, view: JobView) -> None:
        """What starts, stops or deletes rests on the job as it is, not on a cache that may be behind."""
        try:
            live = await self._client.get(JOBS, view.namespace, view.name)
        except NotFound:
            raise Conflict(409, "Gone", "the job is gone") from None
        metadata = live["metadata"]
        if (metadata["uid"], metadata["resourceVersion"]) != (view.uid, view.version):
            raise Conflict(409, "Stale", "the job has changed since it was looked at")

    async def _carry_out(
        self, view: JobView, observed: Observed, action: Action, refusals: dict[str, str]
    ) -> None:
        if isinstance(action, StartPreflight):
            preflight = action.preflight
            await self._start(
                view, PREFLIGHT, preflight_support(preflight), preflight_job(preflight), refusals
            )
        elif isinstance(action, StartStage):
            await self._start_stage(view, observed, action, refusals)
        elif isinstance(action, FreezePlan):
            for rendered in plan_objects(observed.job, action.frozen, action.plan):
                await self._create(view, rendered)
        elif isinstance(action, RequestStop):
            await self._request_stop(view, observed, action)
        elif isinstance(action, DeleteRun):
            kind = BATCH_JOBS if action.is_preflight else RAYJOBS
            logger.info("deleting %s %s", kind.kind, action.attempt)
            await self._client.delete(kind, view.namespace, action.attempt, uid=action.uid)
        elif isinstance(action, DeleteSupport):
            await self._delete_support(view.namespace, action)
        elif isinstance(action, DeletePlan):
            await self._delete_plan(view, action.name)

    async def _start_stage(
        self, view: JobView, observed: Observed, action: StartStage, refusals: dict[str, str]
    ) -> None:
        held = await self._client.get(CONFIGMAPS, view.namespace, action.stage.spec)
        pool = action.stage.pool
        attempt = Attempt(
            job=observed.job,
            stage=read_stage(held.get("data") or {}),
            number=action.number,
            runtime=action.plan.runtime,
            policy=action.policy,
            workers=WorkerGroup(pool_named(action.plan.runtime, pool), action.workers) if pool else None,
        )
        await self._start(view, action.stage.label, supporting_objects(attempt), ray_job(attempt), refusals)

    async def _start(
        self,
        view: JobView,
        label: str,
        support: Iterable[Object],
        run: Object,
        refusals: dict[str, str],
    ) -> None:
        """Create what an attempt needs, then its run. A refusal (quota, admission) is told, and tried again later.

        RoleBindings come after the Roles: to find out whether we may hand on what a Role grants, the API server reads it, and
        answers 404 where it is not there. It does not ask this of administrators.
        """
        bindings, others = _apart(support, ROLEBINDINGS.kind)
        try:
            for wave in (others, bindings):
                await _together(self._provide(each) for each in wave)
            await self._create(view, run)
        except (Forbidden, Invalid) as refused:
            logger.warning("%s %s was refused: %s", run["kind"], run["metadata"]["name"], refused)
            refusals[label] = str(refused)

    async def _provide(self, rendered: Object) -> None:
        """Create an object, or bring it up to date where a pass before created it.

        Applying would do both at once, and costs the API server half as much again.
        """
        kind = KINDS[rendered["kind"]]
        self._make_sure_to_lead()
        try:
            await self._client.create(kind, rendered)
        except AlreadyExists:
            await self._client.apply(kind, rendered)

    async def _create(self, view: JobView, rendered: Object) -> None:
        """Create an object once. One of this name that is ours was created by a pass before."""
        kind, metadata = KINDS[rendered["kind"]], rendered["metadata"]
        self._make_sure_to_lead()
        try:
            await self._client.create(kind, rendered)
        except AlreadyExists:
            found = await self._client.get(kind, view.namespace, metadata["name"])
            owners = {text(each, "uid") for each in parts(found["metadata"], "ownerReferences")}
            if view.uid not in owners:
                message = f"{kind.kind} {metadata['name']} is there and belongs to somebody else; delete or rename it"
                raise Invalid(409, "NameTaken", message) from None

    async def _request_stop(self, view: JobView, observed: Observed, action: RequestStop) -> None:
        notes = observed.notes.get(action.attempt)
        if notes is None:
            return
        text = stop_text(action.why, timestamp(self._clock.now()))
        logger.info("asking %s to stop: %s", action.attempt, action.why)
        name = f"{action.attempt}-progress"
        change = {"data": {"stop": text}}
        try:
            # Of whatever version: a driver that tells much would always be ahead of the cache.
            await self._client.patch(CONFIGMAPS, view.namespace, name, change, uid=notes.uid)
        except (NotFound, Invalid):  # Invalid: another one has its name
            raise Conflict(409, "Gone", f"ConfigMap {name} is gone") from None

    async def _delete_support(self, namespace: str, action: DeleteSupport) -> None:
        name = action.attempt
        named = [(NETWORKPOLICIES, name), (ROLEBINDINGS, name), (ROLES, name)]
        if not action.is_preflight:
            named += [(NETWORKPOLICIES, f"{name}-head"), (CONFIGMAPS, f"{name}-stage")]
        await _together(self._client.delete(kind, namespace, each) for kind, each in named)
        await self._client.delete(CONFIGMAPS, namespace, f"{name}-progress")

    async def _delete_plan(self, view: JobView, name: str) -> None:
        selector = f"{JOB_UID_LABEL}={view.uid},{ROLE_LABEL}={STAGE_ROLE}"
        token = ""
        while True:
            page = await self._client.list_page(
                CONFIGMAPS, view.namespace, label_selector=selector, continue_token=token
            )
            for item in page.items:
                if item["metadata"]["name"].startswith(f"{name}-"):
                    await self._client.delete(CONFIGMAPS, view.namespace, item["metadata"]["name"])
            token = page.continue_token
            if not token:
                break
        await self._client.delete(CONFIGMAPS, view.namespace, name)

    async def _set_finalizers(self, view: JobView, finalizers: tuple[str, ...], version: str) -> str:
        answer = await self._client.patch_metadata(
            JOBS, view.namespace, view.name, {"finalizers": list(finalizers)}, resource_version=version
        )
        return str(answer["metadata"]["resourceVersion"])

    async def _tell(self, view: JobView, status: JobStatus, version: str) -> bool:
        _, before = view.spec_and_status()
        plain = status.told()
        changed = {name for name in {*plain, *before} if plain.get(name) != before.get(name)}
        now = self._clock.monotonic()
        if not changed:
            return False
        # Of a job that this process has not written yet, the process before may have done so a moment ago.
        if changed <= set(SOFT_FIELDS) and now - self._written_at.setdefault(view.uid, now) < SOFT_SECONDS:
            return False
        change = {name: plain.get(name) for name in sorted(changed)}
        self._make_sure_to_lead()
        await self._client.patch_status(JOBS, view.namespace, view.name, change, resource_version=version)
        self._written_at[view.uid] = now
        return True


async def _together(calls: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Make calls at once. Raises what the first of them that failed has raised, as it is; the others are cancelled."""
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


def _with_refusals(status: JobStatus, refusals: dict[str, str]) -> JobStatus:
    if not refusals:
        return status

    def told(stage: StageStatus) -> StageStatus:
        if stage.name not in refusals:
            return stage
        message = f"Kubernetes refuses it: {refusals[stage.name]}"[:2048]
        return stage.model_copy(update={"reason": "CreationRefused", "message": message})

    return status.model_copy(update={"stages": tuple(told(stage) for stage in status.stages)})
