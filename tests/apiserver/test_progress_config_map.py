"""The driver of an attempt at a real API server, with the very Role that the operator renders for it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chex_api.attempt import PROGRESS, RESULT, STOP
from chex_api.stage import StageProgress
from chex_jobs.executor.progress_config_map import ApiServer, ProgressConfigMap
from chex_operator.rendering import supporting_objects
from tests.apiserver.control_plane import ApiClient
from tests.patience import PATIENCE_SECONDS
from tests.unit.chex_operator.rendering.attempts import attempt

NAMESPACE = "radiology"
COLLECTIONS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
}
CONFIG_MAPS = COLLECTIONS["ConfigMap"].format(NAMESPACE)


@pytest.fixture(scope="module")
def driver(api_server: ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The API server as the driver's ServiceAccount sees it, after the operator has applied what belongs to an attempt."""
    assert api_server.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}).accepted
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    assert api_server.create(accounts, {"metadata": {"name": "chex-jobs"}}).accepted
    for rendered in supporting_objects(attempt()):
        # There is no such job: where controllers work, the garbage collector would take what it owns.
        del rendered["metadata"]["ownerReferences"]
        answer = api_server.create(COLLECTIONS[rendered["kind"]].format(NAMESPACE), rendered)
        assert answer.accepted, answer.message
    token = api_server.create(f"{accounts}/chex-jobs/token", {"spec": {"expirationSeconds": 3600}})
    assert token.accepted, token.message
    file = tmp_path_factory.mktemp("service-account") / "token"
    file.write_text(token.body["status"]["token"])
    yield ApiServer(api_server.url, file, api_server.certificate)
    api_server.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


@pytest.fixture
def progress_name() -> str:
    (name,) = (
        each["metadata"]["name"]
        for each in supporting_objects(attempt())
        if each["metadata"]["name"].endswith("-progress")
    )
    return name


def test_progress_and_the_result_arrive(
    driver: ApiServer, progress_name: str, api_server: ApiClient, tmp_path: Path
) -> None:
    sent = threading.Event()
    with ProgressConfigMap(driver, NAMESPACE, progress_name, threading.Event(), interval=0.05) as progress:
        progress.report(
            StageProgress(done=3, total=8, unit="step", message="learning", metrics={"loss": 0.5})
        )
        while not sent.wait(0.05):
            held = api_server.request("GET", f"{CONFIG_MAPS}/{progress_name}").body.get("data") or {}
            if PROGRESS in held:
                assert StageProgress.parse(json.loads(held[PROGRESS])).done == 3
                sent.set()
        assert progress.finish(RESULT, {"manifestUri": "s3://models/manifest.json"})
    held = api_server.request("GET", f"{CONFIG_MAPS}/{progress_name}").body["data"]
    assert json.loads(held[RESULT]) == {"manifestUri": "s3://models/manifest.json"}


def test_a_wish_to_stop_reaches_the_driver(
    driver: ApiServer, progress_name: str, api_server: ApiClient
) -> None:
    stop = threading.Event()
    with ProgressConfigMap(driver, NAMESPACE, progress_name, stop, interval=0.05):
        asked = api_server.request(
            "PATCH",
            f"{CONFIG_MAPS}/{progress_name}",
            json.dumps({"data": {STOP: "suspended"}}),
            "application/merge-patch+json",
        )
        assert asked.accepted, asked.message
        assert stop.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "path",
    [f"{CONFIG_MAPS}/another", f"/api/v1/namespaces/{NAMESPACE}/secrets/keys", "/api/v1/namespaces/default"],
)
def test_a_driver_may_write_nothing_else(driver: ApiServer, path: str) -> None:
    with pytest.raises(OSError, match="403"):
        driver.patch(path, {"metadata": {"labels": {"mine": "now"}}})


def test_an_api_server_that_is_away_costs_no_run(
    driver: ApiServer, progress_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    away = ApiServer("https://127.0.0.1:9", driver.token_file, driver.certificate_file)
    with ProgressConfigMap(away, NAMESPACE, progress_name, threading.Event(), interval=0.05) as progress:
        progress.report(StageProgress(done=1, total=2))
        assert not progress.finish(RESULT, {}, tries=1)
    assert "progress was not accepted" in caplog.text
