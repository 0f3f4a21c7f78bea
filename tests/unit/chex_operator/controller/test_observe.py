"""What is believed of a cache, and what is asked of the API server."""

import asyncio
from typing import Any

import pytest

from chex_api.status import JobStatus
from chex_operator.controller.caches import Caches
from chex_operator.controller.observe import Observer, accepted_identity
from chex_operator.controller.views import job_view
from chex_operator.policy.observed import Observed
from chex_operator.runtime.errors import NotFound
from chex_operator.runtime.resource import RAYJOBS, Object, Resource
from tests.unit.chex_operator.policy.world import World
from tests.unit.chex_operator.virtual_clock import VirtualClock


class Api:
    """Holds RayJobs that no cache has heard of."""

    def __init__(self, *names: str) -> None:
        self._names, self.asked = names, list[str]()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        if resource is RAYJOBS:
            self.asked.append(name)
        if resource is not RAYJOBS or name not in self._names:
            raise NotFound(404, "NotFound", name)
        status = {"jobStatus": "RUNNING", "jobDeploymentStatus": "Running"}
        metadata = {"namespace": namespace, "name": name, "uid": "r", "labels": {}}
        return {"metadata": metadata, "status": status}


@pytest.fixture(scope="module")
def running() -> World:
    world = World()
    world.run_to("pretrain/ssl")
    return world


def observe(api: Api, status: JobStatus) -> Observed:
    client: Any = api
    caches = Caches(client, VirtualClock(), None, lambda _: None)
    metadata = {"namespace": "radiology", "name": "tiny", "uid": "u", "resourceVersion": "5", "generation": 1}
    view = job_view({"metadata": metadata, "spec": {}, "status": status.plain()})
    return asyncio.run(Observer(caches, client).observe(view))


def test_a_run_that_was_seen_before_is_asked_for_when_the_cache_has_lost_it(running: World) -> None:
    name = running.stage("pretrain/ssl").attempt_name
    assert name in observe(Api(name), running.status).runs


def test_a_run_that_is_really_gone_is_gone(running: World) -> None:
    api = Api()
    assert not observe(api, running.status).runs
    assert api.asked == [running.stage("pretrain/ssl").attempt_name]


def test_a_run_that_nobody_has_seen_yet_costs_no_call(running: World) -> None:
    stages = tuple(stage.model_copy(update={"launch_time": None}) for stage in running.status.stages)
    api = Api()
    observe(api, running.status.model_copy(update={"stages": stages}))
    assert api.asked == []


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
