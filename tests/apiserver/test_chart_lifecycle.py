"""Install, upgrade, rollback and uninstall by Helm itself: no job is ever lost.

A control plane of its own, because Helm takes over no CRDs that others have created.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import pytest

from chex_api.crd import render_crds
from tests.apiserver.binaries import control_plane_binaries
from tests.apiserver.chart_objects import path_of
from tests.apiserver.control_plane import (
    ADMIN_TOKEN,
    ApiClient,
    control_plane,
    definitions_established,
    name_of,
)
from tests.apiserver.kube.access import job
from tests.apiserver.test_definitions import RUNTIME, RUNTIMES
from tests.chart.render import CHART, NAMESPACE, RELEASE, is_hook, render, with_image
from tests.patience import PATIENCE_SECONDS

JOBS = "/apis/chexdragon.dev/v1alpha1/namespaces/radiology/chextrainingjobs"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFAULTS: dict[str, Any] = {}
CHANGED: dict[str, Any] = {
    "replicas": 3,
    "networkPolicy": {"enabled": False},
    "aggregatedRoles": {"enabled": False},
    "dashboard": {"enabled": True},
}


@dataclass(frozen=True)
class Cluster:
    """A control plane, and Helm as its administrator uses it."""

    server: ApiClient
    helm: helm_python.Config

    def install(self, values: dict[str, Any], folder: Path = CHART) -> None:
        with helm_python.Chart.load(folder) as chart:
            self.helm.install(chart, RELEASE, with_image(values), namespace=NAMESPACE, create_namespace=True)

    def upgrade(self, values: dict[str, Any]) -> None:
        with helm_python.Chart.load(CHART) as chart:
            self.helm.upgrade(chart, RELEASE, with_image(values), namespace=NAMESPACE, reset_values=True)

    def there(self, values: dict[str, Any]) -> dict[str, bool]:
        """Which of the objects are there that these values would create, by path."""
        paths = [path_of(each) for each in render(values) if not is_hook(each)]
        return {path: self.server.request("GET", path).code == 200 for path in paths}

    def missing(self, values: dict[str, Any]) -> set[str]:
        """Kinds, as in paths, of the objects that are not there."""
        return {path.split("/")[-2] for path, found in self.there(values).items() if not found}

    def short_names(self) -> list[str]:
        """Of jobs, as their definition has them."""
        definition = self.server.request("GET", f"{CRDS}/chextrainingjobs.chexdragon.dev").body
        return definition["spec"]["names"]["shortNames"]

    def jobs(self) -> dict[str, tuple[str, int]]:
        """Uid and generation of every job by name."""
        items = self.server.request("GET", JOBS).body["items"]
        return {
            each["metadata"]["name"]: (each["metadata"]["uid"], each["metadata"]["generation"])
            for each in items
        }


@pytest.fixture(scope="module")
def helm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with control_plane(control_plane_binaries(), tmp_path_factory.mktemp("lifecycle")) as server:
        helm = helm_python.Config(
            kube_apiserver=server.url,
            kube_token=ADMIN_TOKEN,
            kube_ca_file=server.certificate,
            namespace=NAMESPACE,
        )
        with helm:
            cluster = Cluster(server, helm)
            assert server.create("/api/v1/namespaces", {"metadata": {"name": "radiology"}}).accepted
            yield cluster


@pytest.fixture
def empty(helm_cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with no release, no CRDs of ours, and so no job."""
    yield helm_cluster
    helm_cluster.helm.uninstall(RELEASE, ignore_not_found=True)
    paths = [f"{CRDS}/{name_of(text)}" for text in render_crds().values()]
    for path in paths:
        helm_cluster.server.request("DELETE", path)
    # A moment, but on a busy machine half a minute: the API server cannot list a kind whose storage is being set up anew, and
    # looks again after growing pauses.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(helm_cluster.server.request("GET", path).code == 200 for path in paths):
        assert time.monotonic() < deadline, "the CRDs do not go away"
        time.sleep(0.05)


def with_work(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """Two jobs and a runtime, once their kinds are served; the jobs as `Cluster.jobs` tells them."""
    definitions_established(cluster.server, [name_of(text) for text in render_crds().values()])
    for name in ("first", "second"):
        answer = cluster.server.create(JOBS, job("radiology", name))
        assert answer.accepted, answer.message
    assert cluster.server.create(RUNTIMES, RUNTIME).accepted
    return cluster.jobs()


def test_jobs_outlive_upgrade_rollback_uninstall_and_installation_anew(empty: Cluster) -> None:
    empty.install(DEFAULTS)
    assert empty.missing(DEFAULTS) == set()
    jobs = with_work(empty)
    assert len(jobs) == 2

    empty.upgrade(CHANGED)
    assert empty.missing(CHANGED) == set()
    assert empty.missing(DEFAULTS) == {"networkpolicies", "clusterroles"}
    assert empty.jobs() == jobs

    empty.helm.rollback(RELEASE, version=1)
    assert empty.missing(DEFAULTS) == set()
    assert empty.jobs() == jobs

    empty.helm.uninstall(RELEASE)
    left = {path.split("/")[-2] for path, found in empty.there(DEFAULTS).items() if found}
    assert left == {"customresourcedefinitions"}
    assert empty.jobs() == jobs
    assert empty.server.request("GET", f"{RUNTIMES}/h200").code == 200

    empty.install(DEFAULTS)
    assert empty.missing(DEFAULTS) == set()
    assert empty.jobs() == jobs


def test_definitions_that_are_switched_off_later_stay(empty: Cluster) -> None:
    empty.install(DEFAULTS)
    jobs = with_work(empty)
    empty.upgrade({"crds": {"enabled": False}})
    assert empty.jobs() == jobs


def test_an_upgrade_brings_new_definitions(empty: Cluster, tmp_path: Path) -> None:
    """What Helm's own crds/ folder would not do."""
    older = Path(shutil.copytree(CHART, tmp_path / "chart"))
    file = older / "files" / "crds" / "chexdragon.dev_chextrainingjobs.yaml"
    file.write_text(file.read_text().replace("    - ctj\n", "    - older\n"))
    empty.install(DEFAULTS, older)
    assert empty.short_names() == ["older"]
    empty.upgrade(DEFAULTS)
    assert empty.short_names() == ["ctj"]


def test_definitions_of_somebody_else_are_not_taken_over(empty: Cluster) -> None:
    """Applied by `kubectl` before: the message is Helm's, and docs/install.md says what to do."""
    for text in render_crds().values():
        assert empty.server.create(CRDS, text).accepted
    with pytest.raises(helm_python.HelmError, match="cannot be imported into the current release"):
        empty.install(DEFAULTS)
    empty.helm.uninstall(RELEASE, ignore_not_found=True)
    empty.install({"crds": {"enabled": False}})
    assert empty.missing({"crds": {"enabled": False}}) == set()
