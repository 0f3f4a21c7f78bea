"""From `kubectl apply` through the operator, real Ray, real DeepSpeed and a real S3 server to the report."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chex_jobs.artifacts import Storage, open_storage
from chex_operator.kube.resource import JOBS, RAYJOBS, RUNTIMES, Object
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.hospital_network import HospitalNetwork, runtime_object
from tests.apiserver.controller.recorder import contradictions
from tests.apiserver.controller.status_history import StatusHistory, status_history
from tests.apiserver.kubectl import Kubectl, kubectl_for
from tests.apiserver.ray_engine.launching import eventually
from tests.apiserver.ray_engine.local_process import LocalNode
from tests.pipeline.runs import results_of
from tests.pipeline.undisturbed import FinishedRun
from tests.s3.servers import S3Server

REAL_SECONDS = 500.0


@pytest.fixture
def hospital(
    network: HospitalNetwork, controllers: ApiClient, versitygw_server: S3Server, tmp_path: Path
) -> Iterator[HospitalNetwork]:
    """A namespace whose Pods really run, with a runtime for this machine and the keys of an S3 server."""
    network.engine.script.plan(LocalNode(controllers, tmp_path), namespace=network.namespace)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    keys = {name: versitygw_server.environment[name] for name in names}
    secret = {"metadata": {"name": "s3-keys"}, "stringData": keys}
    assert controllers.create(f"/api/v1/namespaces/{network.namespace}/secrets", secret).accepted
    runtime = runtime_object(RUNTIMES, "laptop")
    prefixes = [f"s3://{versitygw_server.bucket}/{{namespace}}/"]
    runtime["spec"] |= {
        "pools": [{"name": "cpu", "cpu": "1", "memory": "4Gi"}],
        "storage": {
            "region": "us-east-1",
            "endpointURL": versitygw_server.endpoint,
            "credentials": {"secretName": "s3-keys"},
            "readPrefixes": prefixes,
            "writePrefixes": prefixes,
        },
    }
    network.create(RUNTIMES, runtime)
    yield network
    controllers.request("DELETE", RAYJOBS.path(network.namespace))  # and with them what still runs


@pytest.fixture
def kept(controllers: ApiClient) -> Iterator[StatusHistory]:
    with status_history(controllers) as found:
        yield found


@pytest.fixture
def manifest(hospital: HospitalNetwork, versitygw_server: S3Server) -> Object:
    def here(spec: Object) -> None:
        spec["runtimeRef"]["name"] = "laptop"
        spec["artifacts"]["uri"] = f"s3://{versitygw_server.bucket}/{hospital.namespace}/tiny"
        for each in (*spec["pretraining"], *spec["hospitals"]):
            each["workers"] = {**each.get("workers", {}), "pool": "cpu"}

    return hospital.manifest(change=here)


@pytest.mark.timeout(1500)
def test_a_manifest_is_applied_suspended_resumed_and_has_the_results_of_a_laptop(
    undisturbed: FinishedRun,
    hospital: HospitalNetwork,
    kept: StatusHistory,
    manifest: Object,
    versitygw_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kubectl = kubectl_for(hospital.server, tmp_path, hospital.namespace)
    apply(kubectl, manifest)
    stopped = hospital.comes_to("pretrain/ssl", reason="Running", seconds=REAL_SECONDS)["attemptName"]
    apply(kubectl, manifest, suspend=True)
    kubectl("wait", "ctj/tiny", "--for=condition=Suspended", "--timeout=3m")
    eventually(lambda: not hospital.live_pods(), "machines are still held")
    apply(kubectl, manifest)
    kubectl("wait", "ctj/tiny", "--for=condition=Complete", f"--timeout={REAL_SECONDS:.0f}s")

    status = hospital.status()
    attempts = {stage["name"]: stage["attempt"] for stage in status["stages"]}
    assert attempts.pop("pretrain/ssl") == 2
    assert set(attempts.values()) == {1}
    assert contradictions([event.object for event in kept.events(hospital.namespace, JOBS)]) == []

    for name, value in versitygw_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    storage = open_storage(manifest["spec"]["artifacts"]["uri"])
    page = storage.read_bytes(status["reportURI"].removeprefix(f"{manifest['spec']['artifacts']['uri']}/"))
    assert page.startswith(b"<!doctype html>")
    printed = {stage["name"]: archived(storage, stage["attemptName"]) for stage in status["stages"]}
    assert [name for name, text in printed.items() if not text] == []
    assert "stopped; the next attempt goes on" in archived(storage, stopped)
    assert "resuming from the checkpoint of step" in printed["pretrain/ssl"]

    identities = {stage["name"]: stage["identity"] for stage in status["stages"][1:]}
    assert identities == undisturbed.results["identities"]
    assert results_of(manifest) == undisturbed.results


def archived(storage: Storage, attempt: str) -> str:
    """What the driver of an attempt has printed."""
    keys = [key for key in storage.sizes() if f"/{attempt}-" in key and "/logs/driver-" in key]
    return b"".join(storage.read_bytes(key) for key in sorted(keys)).decode()


def apply(kubectl: Kubectl, manifest: Object, **policy: object) -> None:
    """As a user does, who edits the file and applies it again."""
    edited = copy.deepcopy(manifest)
    edited["spec"]["runPolicy"] = policy
    kubectl("apply", "-f", "-", given=json.dumps(edited))
