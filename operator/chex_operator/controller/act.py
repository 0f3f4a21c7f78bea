"""Carries out what was decided. Every step may have been done before, by us or by a replica that died: that is fine."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chex_api.status import JobStatus, StageStatus
from chex_operator.controller.fields import parts, text
from chex_operator.controller.views import FINALIZER, JobView, stop_text
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
    DeletePlan,
    DeleteRun,
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
from chex_operator.rules.frozen_plan import STAGE_ROLE, frozen_document, plan_objects
from chex_operator.rules.observed import Observed
from chex_operator.rules.placement import pool_named
from chex_operator.rules.stage_state import REFUSED
from chex_operator.rules.timestamps import timestamp

KINDS: dict[str, Resource] = {
    each.kind: each for each in (CONFIGMAPS, ROLES, ROLEBINDINGS, NETWORKPOLICIES, RAYJOBS, BATCH_JOBS)
}
SOFT_FIELDS = ("eta", "gpuHours")
"""Not worth a write of their own more often than this: they change all the time, in every job that runs."""
SOFT_SECONDS = 300.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """What came of a pass.

    Attributes:
        told: whether a status was written.
        let_go: whether a deleted job may go, of which nothing more is told.
        trouble: why something could not be created that may be created a moment later; the pass is to be repeated.
    """

    told: bool
    let_go: bool = False
    trouble: ApiError | None = None


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

    async def act(self, view: JobView, observed: Observed, decision: Decision) -> Done:
        """Do what was decided, and tell the status last.

        Raises:
            Conflict: The job is not what was looked at any more; the pass is to be repeated.
            NotLeading: Leadership has ended.
            ApiError: Some other call failed; likewise, later. One that creates something is told in the status, and returned.
        """
        if any(isinstance(action, NEEDS_THE_JOB_AS_IT_IS) for action in decision.actions):
            await self._make_sure(view)
        version, troubles = view.version, dict[str, ApiError]()
        lets_go = view.deleting_since is not None and any(
            isinstance(action, RemoveFinalizer) for action in decision.actions
        )
        for action in decision.actions:
            self._make_sure_to_lead()
            if isinstance(action, AddFinalizer):
                version = await self._set_finalizers(view, (*view.finalizers, FINALIZER), version)
            elif isinstance(action, RemoveFinalizer):
                kept = tuple(each for each in view.finalizers if each != FINALIZER)
                version = await self._set_finalizers(view, kept, version)
                if view.deleting_since is not None:
                    return Done(told=False, let_go=True)
            elif isinstance(action, DeleteRun) and lets_go:
                await self._delete_if_possible(view.namespace, action)
            else:
                await self._carry_out(view, observed, action, troubles)
        told = await self._tell(view, _with_troubles(decision.status, troubles), version)
        passing = (each for each in troubles.values() if not isinstance(each, Forbidden | Invalid))
        return Done(told, trouble=next(passing, None))

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
        self, view: JobView, observed: Observed, action: Action, troubles: dict[str, ApiError]
    ) -> None:
        if isinstance(action, StartPreflight):
            preflight = action.preflight
            await self._start(
                view, PREFLIGHT, preflight_support(preflight), preflight_job(preflight), troubles
            )
        elif isinstance(action, StartStage):
            await self._start_stage(view, observed, action, troubles)
        elif isinstance(action, FreezePlan):
            await self._freeze_plan(view, observed, action, troubles)
        elif isinstance(action, RequestStop):
            await self._request_stop(view, observed, action)
        elif isinstance(action, DeleteRun):
            await self._delete_run(view.namespace, action)
        elif isinstance(action, DeleteSupport):
            await self._delete_support(view.namespace, action)
        elif isinstance(action, DeletePlan):
            await self._delete_plan(view, action.name)

    async def _delete_run(self, namespace: str, action: DeleteRun) -> None:
        kind = BATCH_JOBS if action.is_preflight else RAYJOBS
        logger.info("deleting %s %s", kind.kind, action.attempt)
        await self._client.delete(kind, namespace, action.attempt, uid=action.uid)

    async def _delete_if_possible(self, namespace: str, action: DeleteRun) -> None:
        """For a job that waits no longer for its runs: what refuses to be deleted must not block a namespace for ever."""
        try:
            await self._delete_run(namespace, action)
        except ApiError as error:
            logger.warning("%s could not be deleted, and is not waited for: %s", action.attempt, error)

    async def _start_stage(
        self, view: JobView, observed: Observed, action: StartStage, troubles: dict[str, ApiError]
    ) -> None:
        stage, runtime = action.stage, action.plan.runtime
        try:
            held = await self._client.get(CONFIGMAPS, view.namespace, stage.spec)
        except NotFound:
            # Half a plan is none: without its index, the next pass makes it anew from what its preflight found.
            await self._delete_plan(view, action.plan.name)
            raise Conflict(409, "Gone", f"ConfigMap {stage.spec} of the plan is gone") from None
        attempt = Attempt(
            AttemptReference(observed.job, stage.kind, stage.name, stage.identity, action.number),
            document=frozen_document(held.get("data") or {}),
            runtime=runtime,
            policy=action.policy,
            workers=WorkerGroup(pool_named(runtime, stage.pool), action.workers) if stage.pool else None,
        )
        await self._start(view, stage.label, supporting_objects(attempt), ray_job(attempt), troubles)

    async def _start(
        self,
        view: JobView,
        label: str,
        support: Iterable[Object],
        run: Object,
        troubles: dict[str, ApiError],
    ) -> None:
        """Create what an attempt needs, then its run.

        What prevents it (quota, admission, a webhook that is down) goes to `troubles`: it is told, and tried again later; other
        stages of the job are not held up.

        RoleBindings come after the Roles: to find out whether we may hand on what a Role grants, the API server reads it, and
        answers 404 where it is not there. It does not ask this of administrators.
        """
        bindings, others = _apart(support, ROLEBINDINGS.kind)
        with _noting(troubles, label, f"{run['kind']} {run['metadata']['name']}"):
            for wave in (others, bindings):
                await _together(self._provide(view, each) for each in wave)
            await self._create(view, run)

    async def _provide(self, view: JobView, rendered: Object) -> None:
        """Create an object, or bring it up to date where a pass before created it.

        Applying would do both at once, and costs the API server half as much again.
        """
        if rendered.get("immutable"):
            await self._freeze(view, rendered)
            return
        kind = KINDS[rendered["kind"]]
        self._make_sure_to_lead()
        try:
            await self._client.create(kind, rendered)
        except AlreadyExists:
            await self._client.apply(kind, rendered)

    async def _create(self, view: JobView, rendered: Object) -> Object:
        """Create an object once, and return it as it is. One of this name that is ours was created by a pass before."""
        kind, metadata = KINDS[rendered["kind"]], rendered["metadata"]
        self._make_sure_to_lead()
        try:
            return await self._client.create(kind, rendered)
        except AlreadyExists:
            found = await self._client.get(kind, view.namespace, metadata["name"])
            owners = {text(each, "uid") for each in parts(found["metadata"], "ownerReferences")}
            if view.uid not in owners:
                message = f"{kind.kind} {metadata['name']} is there and belongs to somebody else; delete or rename it"
                raise Invalid(409, "NameTaken", message) from None
            return found

    async def _freeze_plan(
        self, view: JobView, observed: Observed, action: FreezePlan, troubles: dict[str, ApiError]
    ) -> None:
        """Create the ConfigMaps of a plan. Until all are there, passes find none, and freeze it again from the same preflight."""
        with _noting(troubles, PREFLIGHT, f"plan {action.frozen.name}"):
            for rendered in plan_objects(observed.job, action.frozen, action.plan):
                await self._freeze(view, rendered)

    async def _freeze(self, view: JobView, rendered: Object) -> None:
        """Create an immutable ConfigMap, in place of one that holds something else.

        That is of a plan what another version of this program froze and this one could not read, or a freeze that was
        interrupted; of an attempt what a pass wrote that was cut off before it created the run, by a plan that was edited since.
        """
        held = await self._create(view, rendered)
        if held.get("data") != rendered["data"]:
            await self._client.delete(
                CONFIGMAPS, view.namespace, held["metadata"]["name"], uid=held["metadata"]["uid"]
            )
            await self._create(view, rendered)

    async def _request_stop(self, view: JobView, observed: Observed, action: RequestStop) -> None:
        notes = observed.notes.get(action.attempt)
        if notes is None:
            return
        text = stop_text(action.why, timestamp(self._clock.now()))
        logger.info("asking %s to stop: %s", action.attempt, action.why)
        name = progress_name(action.attempt)
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
            named += [(NETWORKPOLICIES, f"{name}-head"), (CONFIGMAPS, stage_name(name))]
        await _together(self._client.delete(kind, namespace, each) for kind, each in named)
        await self._client.delete(CONFIGMAPS, namespace, progress_name(name))

    async def _delete_plan(self, view: JobView, name: str) -> None:
        selector = f"{JOB_UID_LABEL}={view.uid},{ROLE_LABEL}={STAGE_ROLE}"
        async for item in listed(self._client, CONFIGMAPS, view.namespace, selector):
            if item["metadata"]["name"].startswith(f"{name}-"):
                await self._client.delete(CONFIGMAPS, view.namespace, item["metadata"]["name"])
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


@contextmanager
def _noting(troubles: dict[str, ApiError], label: str, what: str) -> Generator[None]:
    """What prevents a creation is noted for the stage `label`; it is told, and tried again later. A conflict ends the pass."""
    try:
        yield
    except Conflict:
        raise
    except ApiError as error:
        logger.warning("%s could not be created: %s", what, error)
        troubles[label] = error


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


def _with_troubles(status: JobStatus, troubles: dict[str, ApiError]) -> JobStatus:
    if not troubles:
        return status

    def told(stage: StageStatus) -> StageStatus:
        error = troubles.get(stage.name)
        if error is None:
            return stage
        what = "the plan" if stage.state == "Finished" else "it"
        if isinstance(error, Forbidden | Invalid):
            message = f"Kubernetes refuses {what}: {error}"[:2048]
        else:  # its words may differ each time, and each time would be a write: they are in the log
            message = (
                f"{what} cannot be created at present: {error.status or 'no answer'} {error.reason}".rstrip()
            )
        return stage.model_copy(update={"reason": REFUSED, "message": message})

    return status.model_copy(update={"stages": tuple(told(stage) for stage in status.stages)})
