"""What the operator's identity is refused, and what one namespace can do to another: nothing.

What its roles grant is asked in `test_chart`; here it is tried.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chex_operator.kube.resource import (
    BATCH_JOBS,
    CLUSTER_RUNTIMES,
    CONFIGMAPS,
    JOBS,
    PODS,
    RAYJOBS,
    RUNTIMES,
    Object,
    Resource,
)
from chex_operator.rendering import preflight_job, preflight_support, ray_job, supporting_objects
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.hospital_network import HospitalNetwork, hospital_network, runtime_object
from tests.apiserver.ray_engine.driver_runs import hang
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import eventually
from tests.apiserver.test_chart import Installed, install
from tests.unit.chex_operator.rendering.attempts import attempt, preflight

SECRETS = Resource("", "v1", "secrets", "Secret")
FOLLOWED = (JOBS, RUNTIMES, RAYJOBS, BATCH_JOBS, PODS, CONFIGMAPS)


@pytest.fixture(scope="module", params=["cluster", "namespace"])
def installed(request: pytest.FixtureRequest, controllers: ApiClient) -> Installed:
    """A release for the cluster, and one for a namespace; each with a Secret in three namespaces."""
    release = install(controllers, one_namespace=request.param == "namespace")
    for namespace in (release.watched, release.elsewhere, release.release_namespace):
        secret = {"metadata": {"name": "s3-keys"}, "stringData": {"AWS_SECRET_ACCESS_KEY": "not-for-you"}}
        answer = controllers.create(SECRETS.path(namespace), secret)
        assert answer.accepted, answer.message
    return release


@pytest.fixture
def operator(installed: Installed) -> Iterator[ApiClient]:
    """Its identity."""
    port = int(installed.server.url.rpartition(":")[2])
    with ApiClient(port, installed.server.certificate, installed.token) as client:
        yield client


def test_no_secret_is_read_in_any_way(installed: Installed, operator: ApiClient) -> None:
    for namespace in (installed.watched, installed.elsewhere, installed.release_namespace):
        collection = SECRETS.path(namespace)
        for path in (f"{collection}/s3-keys", collection, f"{collection}?watch=1&timeoutSeconds=1"):
            answer = operator.request("GET", path)
            assert answer.code == 403, path
            assert "not-for-you" not in json.dumps(answer.body)
    assert operator.request("GET", SECRETS.path(None)).code == 403


def test_an_installation_for_one_namespace_sees_no_other(controllers: ApiClient) -> None:
    installed = install(controllers, one_namespace=True)
    port = int(installed.server.url.rpartition(":")[2])
    with ApiClient(port, installed.server.certificate, installed.token) as operator:
        for resource in FOLLOWED:
            assert operator.request("GET", resource.path(installed.watched)).code == 200, resource
            for namespace in (installed.elsewhere, "kube-system", None):
                for query in ("", "?watch=1&timeoutSeconds=1"):
                    answer = operator.request("GET", resource.path(namespace) + query)
                    assert answer.code == 403, f"{resource.plural} in {namespace}"
        assert operator.request("GET", CLUSTER_RUNTIMES.path(None)).code == 403


def neighbour(network: HospitalNetwork) -> str:
    """Another namespace, whose name sorts behind, with a runtime of its own."""
    name = f"zz-{uuid.uuid4().hex[:8]}"
    assert network.server.create("/api/v1/namespaces", {"metadata": {"name": name}}).accepted
    answer = network.server.create(RUNTIMES.path(name), runtime_object(RUNTIMES, "theirs"))
    assert answer.accepted, answer.message
    return name


@pytest.fixture
def network(controllers: ApiClient, engine: Engine, tmp_path: Path) -> Iterator[HospitalNetwork]:
    with hospital_network(controllers, engine, tmp_path) as found:
        yield found


def test_jobs_of_other_namespaces_are_left_alone(network: HospitalNetwork) -> None:
    other = neighbour(network)
    theirs = network.manifest("theirs")
    theirs["metadata"]["namespace"] = other
    assert network.server.create(JOBS.path(other), theirs).accepted
    network.apply("ours")
    network.reaches("Complete", "ours")
    answer = network.server.request("GET", JOBS.path(other, "theirs"))
    assert "status" not in answer.body


def test_a_runtime_of_another_namespace_is_not_found(network: HospitalNetwork) -> None:
    neighbour(network)

    def on_theirs(spec: Object) -> None:
        spec["runtimeRef"] = {"kind": "ChexRuntime", "name": "theirs"}

    network.apply(change=on_theirs)
    eventually(lambda: network.condition("Valid").get("reason") == "RuntimeNotFound", "it was found")
    assert f"in namespace {network.namespace}" in network.condition("Valid")["message"]


def test_what_another_namespace_claims_of_a_job_is_not_believed(
    controllers: ApiClient, engine: Engine, tmp_path: Path
) -> None:
    """Whoever may create ConfigMaps somewhere may label them as he likes; an operator of the cluster sees them all."""
    with hospital_network(controllers, engine, tmp_path, whole_cluster=True) as network:
        other, name = neighbour(network), network.namespace
        network.create(CLUSTER_RUNTIMES, runtime_object(CLUSTER_RUNTIMES, name))

        def on_a_cluster_runtime(spec: Object) -> None:
            spec["runtimeRef"] = {"kind": "ClusterChexRuntime", "name": name}

        network.plan(hang(), kind="pretrain")
        network.apply(change=on_a_cluster_runtime)
        running = network.comes_to("pretrain/ssl", reason="Running")
        selector = f"chexdragon.dev/attempt-name={running['attemptName']},chexdragon.dev/role=progress"
        (notes,) = network.list(CONFIGMAPS, selector)
        told = {"done": 99, "total": 100, "committed": 99}
        forged: dict[str, Any] = {
            "metadata": {"name": notes["metadata"]["name"], "labels": notes["metadata"]["labels"]},
            "data": {"progress.json": json.dumps(told)},
        }
        assert network.server.create(CONFIGMAPS.path(other), forged).accepted
        network.apply(change=on_a_cluster_runtime, suspend=True)
        network.reaches("Suspended")
        assert network.stage("pretrain/ssl").get("progressPercent", 0) < 99


def test_all_that_is_rendered_stays_in_the_namespace_of_its_job() -> None:
    objects = [*supporting_objects(attempt()), ray_job(attempt())]
    objects += [*preflight_support(preflight()), preflight_job(preflight())]
    assert set(namespaces(objects)) == {"radiology"}


def namespaces(value: Any) -> Iterator[str]:
    """Every namespace that is named somewhere in plain data."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "namespace" and isinstance(item, str):
                yield item
            yield from namespaces(item)
    elif isinstance(value, list):
        for item in value:
            yield from namespaces(item)
