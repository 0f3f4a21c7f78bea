"""What `submit` refuses before it asks a cluster, and what a watch says of a job that the operator refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from chex_jobs.cli.main import main
from tests.pipeline.manifest import tiny_job
from tests.unit.cli.cluster_jobs import cluster_job, condition, stage
from tests.unit.cli.fake_kubectl import give_kubectl

RUNTIME = {"name": "h200"}
NO_RUNTIME = "spec.runtimeRef is required in a cluster; name a runtime"
REFUSED = condition("Valid", "False", "NoRuntime", NO_RUNTIME)


def written(folder: Path, artifacts: str, **spec: Any) -> str:
    """The path of a manifest."""
    job = tiny_job(artifacts)
    job["spec"] |= spec
    (folder / "manifest.json").write_text(json.dumps(job))
    return str(folder / "manifest.json")


def test_a_missing_runtime_is_named_as_the_operator_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_kubectl(tmp_path, monkeypatch)
    manifest = written(tmp_path, "s3://models/tiny")
    assert main(["submit", manifest]) == 2
    assert capsys.readouterr().err == (
        f"{manifest}: spec.runtimeRef: is required in a cluster; name a runtime: kubectl get clusterchexruntimes,chexruntimes\n"
    )


def test_a_missing_runtime_is_named_beside_files_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_kubectl(tmp_path, monkeypatch)
    assert main(["submit", written(tmp_path, "file:///home/somebody")]) == 2
    told = capsys.readouterr().err
    assert "spec.runtimeRef: " in told
    assert "spec.artifacts.uri: " in told


def test_a_manifest_with_a_runtime_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_kubectl(tmp_path, monkeypatch)
    assert main(["submit", written(tmp_path, "s3://models/tiny", runtimeRef=RUNTIME)]) == 0
    assert "radiology/network submitted" in capsys.readouterr().out


def test_on_this_machine_no_runtime_is_needed(tmp_path: Path) -> None:
    assert main(["validate", written(tmp_path, "s3://models/tiny")]) == 0


@pytest.mark.timeout(60)
def test_a_watch_of_a_refused_job_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_kubectl(tmp_path, monkeypatch, conditions=[REFUSED])
    assert main(["status", "network", "--watch"]) == 1
    told = capsys.readouterr().out
    assert f"Valid=False: NoRuntime: {NO_RUNTIME}" in told
    assert "nothing begins before that is mended; then:  " in told


@pytest.mark.timeout(60)
def test_submitting_with_a_watch_ends_with_the_reason_of_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_kubectl(tmp_path, monkeypatch, conditions=[REFUSED])
    manifest = written(tmp_path, "s3://models/tiny", runtimeRef=RUNTIME)
    assert main(["submit", manifest, "--watch"]) == 1
    assert f"Valid=False: NoRuntime: {NO_RUNTIME}" in capsys.readouterr().out


def test_a_refusal_of_an_earlier_spec_is_none() -> None:
    assert not cluster_job(observedGeneration=1, conditions=[REFUSED]).refused


def test_a_job_whose_stage_still_runs_is_followed_in_spite_of_a_refusal() -> None:
    assert not cluster_job(conditions=[REFUSED], stages=[stage("pretrain/ssl", "Running")]).refused


def test_a_job_of_which_nothing_is_told_is_not_refused() -> None:
    assert not cluster_job().refused


@pytest.mark.parametrize("words", [("status", "network"), ("status", "network", "--watch")])
def test_a_status_of_a_newer_operator_is_told_at_once_and_not_waited_for(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    give_kubectl(tmp_path, monkeypatch, phase="Validating")
    assert main(list(words)) == 1
    assert "upgrade" in capsys.readouterr().err
