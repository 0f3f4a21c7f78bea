"""What is believed of a cache, and what is asked of the API server."""

import asyncio
import json
from typing import Any

import pytest

from chex_api.attempt import RESULT
from chex_api.stage import StageResult
from chex_api.status import JobStatus
from chex_operator.controller.caches import Caches
from chex_operator.controller.observe import Observer, accepted_identity
from chex_operator.controller.projections import project_job
from chex_operator.kube.errors import NotFound
from chex_operator.kube.resource import CONFIGMAPS, RAYJOBS, Object, Resource
from chex_operator.rendering.names import ATTEMPT_LABEL, JOB_UID_LABEL
from chex_operator.rules.admission import Refused
from chex_operator.rules.observed import Observed
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock
from tests.unit.chex_operator.reconcile.world import World, manifest


class Api:
    """Holds RayJobs that no cache has heard of."""

    def __init__(self, *names: str) -> None:
        self._names, self.asked = names, list[str]()
        self.job_status, self.progress_records = "RUNNING", dict[str, Object]()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        if resource is CONFIGMAPS and name in self.progress_records:
            return self.progress_records[name]
        if resource is RAYJOBS:
            self.asked.append(name)
        if resource is not RAYJOBS or name not in self._names:
            raise NotFound(404, "NotFound", name)
        status = {"jobStatus": self.job_status, "jobDeploymentStatus": "Running"}
        metadata = {"namespace": namespace, "name": name, "uid": "r", "labels": {}}
        return {"metadata": metadata, "status": status}


@pytest.fixture(scope="module")
def running() -> World:
    world = World()
    world.run_to("pretrain/ssl")
    return world


def observe(api: Api, status: JobStatus, spec: Object | None = None) -> Observed:
    client: Any = api
    caches = Caches(client, VirtualClock(), None, lambda _: None)
    metadata = {"namespace": "radiology", "name": "tiny", "uid": "u", "resourceVersion": "5", "generation": 1}
    projection = project_job({"metadata": metadata, "spec": spec or {}, "status": status.plain()})
    return asyncio.run(Observer(caches, client).observe(projection))


def test_a_run_that_was_seen_before_is_asked_for_when_the_cache_has_lost_it(running: World) -> None:
    name = running.stage("pretrain/ssl").attempt_name
    assert name in observe(Api(name), running.status).attempt_objects


def test_a_run_that_is_really_gone_is_gone(running: World) -> None:
    api = Api()
    assert not observe(api, running.status).attempt_objects
    assert api.asked == [running.stage("pretrain/ssl").attempt_name]


def test_a_run_that_nobody_has_seen_yet_costs_no_call(running: World) -> None:
    stages = tuple(stage.model_copy(update={"launch_time": None}) for stage in running.status.stages)
    api = Api()
    observe(api, running.status.model_copy(update={"stages": stages}))
    assert api.asked == []


@pytest.mark.parametrize(("owner", "believed"), [("u", True), ("another", False)])
def test_the_last_words_of_an_attempt_are_asked_for_though_no_cache_has_heard_of_them(
    running: World, owner: str, believed: bool
) -> None:
    name = running.stage("pretrain/ssl").attempt_name
    api = Api(name)
    api.job_status = "SUCCEEDED"
    result = StageResult(manifest_uri="s3://m/manifest.json", manifest_sha256="a" * 64, summary={})
    labels = {JOB_UID_LABEL: owner, ATTEMPT_LABEL: name}
    metadata = {"namespace": "radiology", "name": f"{name}-progress", "uid": "c", "labels": labels}
    api.progress_records[f"{name}-progress"] = {
        "metadata": metadata,
        "data": {RESULT: json.dumps(result.plain())},
    }
    record = observe(api, running.status).progress_records
    assert ([each.result for each in record.values()] == [result]) if believed else (record == {})


def test_a_run_policy_counts_though_there_is_no_runtime() -> None:
    spec = manifest(suspend=True, activeDeadlineSeconds=60).spec.plain()
    judgement = observe(Api(), JobStatus(), {**spec, "runtimeRef": {"name": "mistyped"}}).judgement
    assert isinstance(judgement, Refused)
    assert judgement.reason == "RuntimeNotFound"
    assert judgement.policy is not None
    assert (judgement.policy.suspend, judgement.policy.active_deadline_seconds) == (True, 60)


def test_a_manifest_that_was_accepted_stays_what_it_was_whatever_a_later_version_would_make_of_it(
    running: World,
) -> None:
    identity = running.stage("preflight").identity
    assert accepted_identity(running.status, generation=1) == identity
    assert accepted_identity(running.status, generation=2) is None


def test_a_manifest_that_was_refused_is_judged_by_itself(running: World) -> None:
    refused = tuple(
        condition.model_copy(update={"status": "False"}) if condition.type == "Valid" else condition
        for condition in running.status.conditions
    )
    assert accepted_identity(running.status.model_copy(update={"conditions": refused}), generation=1) is None
