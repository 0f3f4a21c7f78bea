"""One control plane for the whole session: the tests need a real API server's verdict, not a fresh one each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chex_api.crd import render_crds
from tests.apiserver.binaries import control_plane_binaries
from tests.apiserver.control_plane import (
    ApiClient,
    control_plane,
    controller_manager,
    definitions_established,
    name_of,
)
from tests.apiserver.ray_engine.definitions import ray_definitions
from tests.apiserver.ray_engine.driver_runs import play
from tests.apiserver.ray_engine.engine import Engine, ray_engine
from tests.apiserver.ray_engine.script import Script
from tests.s3.fixtures import versitygw_server

__all__ = ["versitygw_server"]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    """A bare API server."""
    with control_plane(control_plane_binaries(), tmp_path_factory.mktemp("control-plane")) as client:
        yield client


@pytest.fixture(scope="session")
def cluster(api_server: ApiClient) -> ApiClient:
    """An API server with our kinds, created by plain `create`."""
    for text in render_crds().values():
        answer = api_server.create(CRDS, text)
        assert answer.accepted, answer.message
    definitions_established(api_server, [name_of(text) for text in render_crds().values()])
    return api_server


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    """The jobs that we show users."""
    folder = Path(__file__).parents[2] / "infra" / "samples"
    return sorted(path for path in folder.glob("*.yaml") if path.name != "runtime.yaml")


@pytest.fixture(scope="session")
def controllers(cluster: ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    """The same API server with KubeRay's kinds too, and with controllers: garbage goes, Jobs make Pods, namespaces end."""
    for definition in ray_definitions():
        answer = cluster.create(CRDS, definition)
        assert answer.accepted, answer.message
    definitions_established(cluster, [definition["metadata"]["name"] for definition in ray_definitions()])
    with controller_manager(control_plane_binaries(), tmp_path_factory.mktemp("controllers"), cluster):
        yield cluster


@pytest.fixture(scope="session")
def engine(controllers: ApiClient) -> Iterator[Engine]:
    """The stand-in for KubeRay and the nodes: attempts finish, unless a test plans otherwise for its namespace."""
    with ray_engine(controllers, Script(otherwise=play())) as playing:
        yield playing
        assert not playing.faults
