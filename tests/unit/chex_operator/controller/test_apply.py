"""How decisions become calls; what the calls do is tested at a real API server."""

import asyncio
from typing import Any

import pytest

from chex_api.plan import Plan, digest_keys, make_plan
from chex_api.run_policy import RunPolicy
from chex_api.status import JobStatus, StageStatus
from chex_operator.controller.apply import Applier, ApplyResult, NotLeading
from chex_operator.controller.projections import FINALIZER, JobProjection, project_job
from chex_operator.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound, ServerError
from chex_operator.kube.wire import Page
from chex_operator.reconcile.actions import (
    AddFinalizer,
    DeleteAttemptObject,
    DeletePlan,
    DeleteSupport,
    FreezePlan,
    RemoveFinalizer,
    StartPreflight,
    StartStage,
)
from chex_operator.reconcile.decide import Decision
from chex_operator.rendering import AttemptReference, JobReference, attempt_name
from chex_operator.rendering.names import stage_name
from chex_operator.rules.admission import Refused
from chex_operator.rules.frozen_plan import FrozenPlan, freeze, plan_objects
from chex_operator.rules.observed import Observed
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock
from tests.unit.chex_operator.reconcile.world import manifest
from tests.unit.chex_operator.rendering.attempts import preflight, runtime

Calls = list[tuple[str, Any]]


class Api:
    """Holds one job, and records what it is asked."""

    def __init__(self, uid: str = "u", version: str = "5", *, gone: bool = False) -> None:
        self.calls: Calls = []
        self._uid, self._version, self._gone = uid, version, gone

    async def get(self, resource: Any, namespace: str, name: str) -> Any:
        self.calls.append(("get", name))
        if self._gone:
            raise NotFound(404, "NotFound", "no")
        return {"metadata": {"uid": self._uid, "resourceVersion": self._version}}

    async def delete(self, resource: Any, namespace: str, name: str, *, uid: str | None = None) -> None:
        self.calls.append(("delete", (name, uid)))

    async def patch_metadata(
        self, resource: Any, namespace: str, name: str, metadata: Any, *, resource_version: str
    ) -> Any:
        self.calls.append(("metadata", (metadata, resource_version)))
        return {"metadata": {"resourceVersion": "6"}}

    async def patch_status(
        self, resource: Any, namespace: str, name: str, status: Any, *, resource_version: str
    ) -> Any:
        self.calls.append(("status", (status, resource_version)))
        return {}


def projection(
    status: dict[str, Any] | None = None, finalizers: tuple[str, ...] = (), deleted: str | None = None
) -> JobProjection:
    metadata = {
        "namespace": "n",
        "name": "j",
        "uid": "u",
        "resourceVersion": "5",
        "generation": 1,
        "finalizers": list(finalizers),
        "deletionTimestamp": deleted,
    }
    return project_job({"metadata": metadata, "spec": {}, "status": status or {}})


def observed(status: JobStatus | None = None) -> Observed:
    return Observed(JobReference("n", "j", "u", 1), Refused("No", "no"), status or JobStatus())


async def apply(
    api: Api, decision: Decision, job: JobProjection | None = None, applier: Applier | None = None
) -> ApplyResult:
    applier = applier or Applier(api, VirtualClock(), lambda: True)  # pyright: ignore[reportArgumentType]
    return await applier.apply(job or projection(), observed(), decision)


DELETION = DeleteAttemptObject("attempt-1", "run-uid", is_preflight=False)


@pytest.mark.parametrize(
    "api", [Api(version="6"), Api(uid="another"), Api(gone=True)], ids=["newer", "another", "gone"]
)
def test_nothing_is_deleted_on_the_word_of_an_old_cache(api: Api) -> None:
    with pytest.raises(Conflict):
        asyncio.run(apply(api, Decision((DELETION,), JobStatus())))
    assert api.calls == [("get", "j")]


def test_a_conflict_among_calls_made_at_once_is_a_conflict() -> None:
    class Refusing(Api):
        async def delete(self, *args: Any, **kwargs: Any) -> None:
            raise Conflict(409, "Conflict", "somebody was faster")

    with pytest.raises(Conflict, match="faster"):
        asyncio.run(apply(Refusing(), Decision((DeleteSupport("a", is_preflight=False),), JobStatus())))


def test_a_run_is_deleted_by_its_uid() -> None:
    api = Api()
    asyncio.run(apply(api, Decision((DELETION,), JobStatus())))
    assert api.calls[:2] == [("get", "j"), ("delete", ("attempt-1", "run-uid"))]


class Undeletable(Api):
    async def delete(self, *args: Any, **kwargs: Any) -> None:
        raise Forbidden(403, "Forbidden", "a policy says no")


def test_a_deleted_job_that_waits_no_longer_goes_though_its_runs_cannot_be_deleted() -> None:
    api = Undeletable()
    leaving = projection(finalizers=(FINALIZER,), deleted="2026-11-01T00:00:00Z")
    asyncio.run(apply(api, Decision((DELETION, RemoveFinalizer()), JobStatus()), leaving))
    assert api.calls[-1] == ("metadata", ({"finalizers": []}, "5"))


def test_a_job_that_was_not_deleted_keeps_its_finalizer_while_its_runs_cannot_be_deleted() -> None:
    api = Undeletable()
    with pytest.raises(Forbidden):
        asyncio.run(
            apply(
                api, Decision((DELETION, RemoveFinalizer()), JobStatus()), projection(finalizers=(FINALIZER,))
            )
        )
    assert api.calls == [("get", "j")]


@pytest.mark.parametrize(
    "decision", [Decision((DELETION,), JobStatus()), Decision((), JobStatus(phase="Preflight"))]
)
def test_whoever_does_not_lead_any_more_writes_nothing(decision: Decision) -> None:
    api = Api()
    applier = Applier(api, VirtualClock(), lambda: False)  # pyright: ignore[reportArgumentType]
    with pytest.raises(NotLeading):
        asyncio.run(apply(api, decision, applier=applier))
    assert [name for name, _ in api.calls if name != "get"] == []


def test_the_status_is_written_last_at_the_version_that_the_finalizer_left() -> None:
    api = Api()
    asyncio.run(apply(api, Decision((AddFinalizer(),), JobStatus(phase="Preflight"))))
    (first, (metadata, version)), (last, (status, after)) = api.calls
    assert (first, metadata, version) == ("metadata", {"finalizers": ["chexdragon.dev/checkpoint"]}, "5")
    assert (last, status["phase"], after) == ("status", "Preflight", "6")


def test_other_finalizers_stay() -> None:
    api = Api()
    asyncio.run(
        apply(
            api,
            Decision((RemoveFinalizer(),), JobStatus()),
            projection(finalizers=("other/one", "chexdragon.dev/checkpoint")),
        )
    )
    assert ("metadata", ({"finalizers": ["other/one"]}, "5")) in api.calls


QUOTA = Forbidden(403, "Forbidden", "exceeded quota")
WEBHOOK = ServerError(500, "InternalError", "read tcp 10.0.0.5:52001: connection reset by peer")


def frozen_plan() -> tuple[FrozenPlan, Plan]:
    job = manifest()
    plan = make_plan(job, dict.fromkeys(digest_keys(job.spec), "0" * 64))
    return freeze(JobReference("n", "j", "u", 1), "5" * 64, plan, runtime()), plan


class Creating(Api):
    """Creates objects, and refuses those of one kind."""

    def __init__(self, refused: str, error: ApiError, held: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._refused, self._error, self._held = refused, error, held or {}

    async def create(self, resource: Any, rendered: Any) -> Any:
        self.calls.append(("create", rendered["metadata"]["name"]))
        if rendered["kind"] == self._refused:
            self._refused = ""
            raise self._error
        return rendered

    async def get(self, resource: Any, namespace: str, name: str) -> Any:
        held = await super().get(resource, namespace, name)
        return held if resource.plural == "chextrainingjobs" else self._held

    async def list_page(self, *_: Any, **__: Any) -> Page:
        return Page([], "9", "")


@pytest.mark.parametrize(
    ("error", "words", "tried_again"),
    [
        (QUOTA, "Kubernetes refuses it: 403 Forbidden: exceeded quota", False),
        (WEBHOOK, "it cannot be created at present: 500 InternalError", True),
    ],
)
def test_what_cannot_be_created_is_reported_beside_everything_else(
    error: ApiError, words: str, tried_again: bool
) -> None:
    api = Creating("Job", error)
    status = JobStatus(
        stages=(StageStatus(name="preflight", state="Running"), StageStatus(name="other", state="Finished"))
    )
    done = asyncio.run(apply(api, Decision((StartPreflight(preflight()),), status)))
    assert done == ApplyResult(status_written=True, retryable=error if tried_again else None)
    _, (status, _) = api.calls[-1]
    first, other = status["stages"]
    assert (first["reason"], first["message"]) == ("CreationRefused", words)
    assert other["state"] == "Finished"


def test_a_plan_that_cannot_be_written_is_reported_at_its_preflight() -> None:
    frozen, plan = frozen_plan()
    api = Creating("ConfigMap", QUOTA)
    status = JobStatus(plan=frozen.name, stages=(StageStatus(name="preflight", state="Finished"),))
    actions = (FreezePlan(frozen, plan), DeletePlan("the-one-before"))
    assert asyncio.run(apply(api, Decision(actions, status))) == ApplyResult(status_written=True)
    _, (status, _) = api.calls[-1]
    (first,) = status["stages"]
    assert first["message"] == "Kubernetes refuses the plan: 403 Forbidden: exceeded quota"
    assert ("delete", ("the-one-before", None)) in api.calls


@pytest.mark.parametrize("held", ["what another version wrote", "the same"])
def test_a_plan_that_this_version_cannot_read_is_frozen_anew(held: str) -> None:
    frozen, plan = frozen_plan()
    (first, *_) = plan_objects(JobReference("n", "j", "u", 1), frozen, plan)
    data = first["data"] if held == "the same" else {"stage.json": held}
    metadata = {"name": frozen.stages[0].spec, "uid": "old", "ownerReferences": [{"uid": "u"}]}
    there = AlreadyExists(409, "AlreadyExists", "there")
    api = Creating("ConfigMap", there, {"metadata": metadata, "data": data})
    asyncio.run(apply(api, Decision((FreezePlan(frozen, plan),), JobStatus())))
    deleted = [call for name, call in api.calls if name == "delete"]
    assert deleted == ([] if held == "the same" else [(frozen.stages[0].spec, "old")])
    assert ("create", frozen.name) in api.calls


def test_what_a_pass_provided_that_was_cut_off_is_replaced_where_an_edit_made_it_another() -> None:
    frozen, _ = frozen_plan()
    name = attempt_name(
        AttemptReference(JobReference("n", "j", "u", 1), "ingest", "archive", frozen.stages[0].identity, 1)
    )
    metadata = {"name": stage_name(name), "uid": "old", "ownerReferences": [{"uid": "u"}]}
    there = AlreadyExists(409, "AlreadyExists", "there")
    api = Creating("ConfigMap", there, {"metadata": metadata, "data": {"stage.json": "before the edit"}})
    start = StartStage(frozen, frozen.stages[0], 1, 1, RunPolicy())
    assert asyncio.run(apply(api, Decision((start,), JobStatus()))).retryable is None
    assert [call for verb, call in api.calls if verb == "delete"] == [(stage_name(name), "old")]
    assert api.calls.count(("create", stage_name(name))) == 2
    assert ("create", name) in api.calls


def test_half_a_plan_is_taken_away_so_that_it_is_made_anew() -> None:
    class Missing(Creating):
        async def get(self, resource: Any, namespace: str, name: str) -> Any:
            if resource.plural == "configmaps":
                raise NotFound(404, "NotFound", name)
            return await super().get(resource, namespace, name)

    frozen, _ = frozen_plan()
    api = Missing("", NotFound(404, "NotFound", ""))
    start = StartStage(frozen, frozen.stages[0], 1, 1, RunPolicy())
    with pytest.raises(Conflict, match="of the plan is gone"):
        asyncio.run(apply(api, Decision((start,), JobStatus())))
    assert [call for name, call in api.calls if name == "delete"] == [(frozen.name, None)]


def test_an_equal_status_is_not_written_and_what_is_gone_is_taken_away() -> None:
    plain = JobStatus(phase="Preflight").told()
    api = Api()
    assert not asyncio.run(
        apply(api, Decision((), JobStatus(phase="Preflight")), projection(plain))
    ).status_written
    assert api.calls == []
    assert asyncio.run(
        apply(
            api,
            Decision((), JobStatus(phase="Preflight")),
            projection({**plain, "activeSince": "2026-01-01T00:00:00Z"}),
        )
    ).status_written
    assert api.calls[-1][1][0] == {"activeSince": None}


def test_time_left_alone_is_written_every_five_minutes_and_not_at_once_after_a_restart() -> None:
    clock, api = VirtualClock(), Api()
    applier = Applier(api, clock, lambda: True)  # pyright: ignore[reportArgumentType]
    job = projection(JobStatus(eta="~2h").told())

    async def four_times() -> list[bool]:
        written = [(await apply(api, Decision((), JobStatus(eta="~1h")), job, applier)).status_written]
        await clock.advance(301)
        written.append((await apply(api, Decision((), JobStatus(eta="50m")), job, applier)).status_written)
        written.append((await apply(api, Decision((), JobStatus(eta="45m")), job, applier)).status_written)
        await clock.advance(301)
        written.append((await apply(api, Decision((), JobStatus(eta="40m")), job, applier)).status_written)
        return written

    assert asyncio.run(four_times()) == [False, True, False, True]
