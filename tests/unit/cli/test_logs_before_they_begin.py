"""What `logs` says of Pods that have printed nothing yet."""

from pathlib import Path
from typing import Any

import pytest

from chex_jobs.cli.main import main
from tests.unit.cli.cluster_jobs import stage
from tests.unit.cli.fake_kubectl import give_kubectl

IDENTITY = "0123456789ab" + "c" * 52
NO_NODE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
UNSCHEDULED: dict[str, Any] = {
    "metadata": {"name": "head", "creationTimestamp": "2026-10-02T09:00:00Z"},
    "status": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": NO_NODE}],
    },
}


def in_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, pods: list[dict[str, Any]]
) -> None:
    told = [stage("pretrain/ssl", state, identity=IDENTITY)]
    give_kubectl(tmp_path, monkeypatch, pods=pods, artifacts=f"file://{tmp_path}/artifacts", stages=told)


def test_pods_that_wait_for_a_node_are_said_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_cluster(tmp_path, monkeypatch, "Running", [UNSCHEDULED])
    assert main(["logs", "network"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[1:] == [f"kubectl chex logs: waiting: {NO_NODE}"]


def test_pods_that_say_nothing_wait_for_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_cluster(tmp_path, monkeypatch, "Running", [{**UNSCHEDULED, "status": {}}])
    assert main(["logs", "network"]) == 0
    assert "waiting: the driver begins when all workers are there" in capsys.readouterr().err


@pytest.mark.parametrize(("state", "pods"), [("Running", []), ("Failed", [UNSCHEDULED])])
def test_the_archive_is_read_where_no_pod_will_begin(
    state: str,
    pods: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    in_cluster(tmp_path, monkeypatch, state, pods)
    assert main(["logs", "network"]) == 1
    assert "no archived log" in capsys.readouterr().err
