"""`kubectl chex` and the operator together: what one asks for, the other does and tells."""

import json
from pathlib import Path

import pytest

from chex_operator.kube.resource import Object
from tests.apiserver.controller.hospital_network import HospitalNetwork
from tests.apiserver.plugin import Plugin, plugin_for
from tests.apiserver.ray_engine.driver_runs import fail, finish, hang
from tests.apiserver.ray_engine.launching import eventually


@pytest.fixture
def plugin(network: HospitalNetwork, tmp_path: Path) -> Plugin:
    return plugin_for(network.server, tmp_path)


def test_a_job_is_submitted_and_followed_to_its_report(network: HospitalNetwork, plugin: Plugin) -> None:
    network.plan(finish(summary={"recommended": "ssl/probe@1", "auroc": 0.81}), kind="evaluate")
    done = plugin("submit", "-", "--watch", text=json.dumps(network.manifest()))
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        f"{network.namespace}/tiny submitted (generation 1)",
        "preflight: Finished, attempt 1",
        "report/tiny: Finished, attempt 1",
        "north: ssl/probe@1, AUROC 0.810",
        "Complete=True",
    ):
        assert line in done.stdout
    page = plugin("status", "tiny", f"--namespace={network.namespace}").stdout
    assert "Complete   100%" in page
    assert "██████████ 100%" in page


def test_a_job_is_cancelled_resumed_and_deleted(network: HospitalNetwork, plugin: Plugin) -> None:
    here = f"--namespace={network.namespace}"
    network.plan(hang(), kind="pretrain")
    assert plugin("submit", "-", text=json.dumps(network.manifest())).returncode == 0
    network.comes_to("pretrain/ssl", reason="Running")
    assert plugin("cancel", "tiny", here).returncode == 0
    network.reaches("Suspended")
    eventually(lambda: not network.live_pods(), "machines are still held")
    assert plugin("resume", "tiny", here).returncode == 0
    network.comes_to("pretrain/ssl", reason="Running")
    deleted = plugin("cancel", "tiny", "--delete", here)
    assert deleted.returncode == 0, deleted.stderr
    assert network.job() is None
    assert f"artifacts are kept in s3://radiology-models/{network.namespace}/tiny" in deleted.stdout


def test_a_failed_job_is_resumed_once_its_data_are_mended(network: HospitalNetwork, plugin: Plugin) -> None:
    here = f"--namespace={network.namespace}"
    network.plan(
        fail("no column 'Effusion' in data.csv", user_error=True), stage="north", kind="ingest", number=1
    )
    assert plugin("submit", "-", text=json.dumps(network.manifest())).returncode == 0
    network.reaches("Failed")
    done = plugin("resume", "tiny", here)
    assert "what failed is tried again" in done.stdout, done.stderr
    network.reaches("Complete")


def test_a_watch_of_a_job_that_the_operator_refuses_ends_with_its_words(
    network: HospitalNetwork, plugin: Plugin
) -> None:
    def name_no_runtime_there_is(spec: Object) -> None:
        spec["runtimeRef"] = {"kind": "ChexRuntime", "name": "h300"}

    manifest = network.manifest(change=name_no_runtime_there_is)
    done = plugin("submit", "-", "--watch", text=json.dumps(manifest))
    assert done.returncode == 1, done.stderr
    assert "Valid=False: RuntimeNotFound: spec.runtimeRef: there is no ChexRuntime 'h300'" in done.stdout


def test_a_watch_of_a_job_that_fails_ends_with_the_drivers_words(
    network: HospitalNetwork, plugin: Plugin
) -> None:
    network.plan(fail("no column 'Effusion' in data.csv", user_error=True), kind="ingest", stage="north")
    done = plugin("submit", "-", "--watch", text=json.dumps(network.manifest()))
    assert done.returncode == 1
    assert "no column 'Effusion' in data.csv" in done.stdout
    assert "why:  kubectl chex logs tiny" in done.stdout
