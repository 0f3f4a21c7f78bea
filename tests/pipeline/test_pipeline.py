"""A whole job through `chex run`: to its report, killed on the way, again, extended, and in S3."""

import copy
from pathlib import Path

import pytest

from chex_jobs.artifacts import ArtifactStore
from tests.pipeline.manifest import STRATEGY_ADDED_LATER, tiny_job
from tests.pipeline.runs import Event, kill_when, results_of, run_to_end
from tests.pipeline.undisturbed import FinishedRun
from tests.s3.servers import S3Server


def stages_started(events: list[Event]) -> list[str]:
    return [event["stage"] for event in events if event["event"] == "started"]


def test_a_job_ends_in_a_report_with_a_deployable_model(undisturbed: FinishedRun) -> None:
    assert stages_started(undisturbed.events) == [
        "ingest/archive",
        "ingest/north",
        "pretrain/ssl",
        "adapt/north",
        "evaluate/north",
        "report/tiny",
    ]
    identity = undisturbed.results["identities"]["report/tiny"]
    store = ArtifactStore.open(undisturbed.manifest["spec"]["artifacts"]["uri"])
    report = store.stage("report", "tiny", identity).finished()
    assert report is not None
    assert "nothing on this page is accuracy" in report.read_bytes("report.html").decode().lower()
    assert {
        "report.html",
        "results.parquet",
        "models/north/model.safetensors",
        "models/north/golden.npz",
    } <= set(report.files)


def test_pretraining_reports_loss_speed_and_wait_for_data(undisturbed: FinishedRun) -> None:
    told = [e for e in undisturbed.events if e["event"] == "progress" and e["stage"] == "pretrain/ssl"]
    assert told
    assert {"loss", "films/s", "wait for data"} <= set(told[-1]["metrics"])


def in_pretraining(event: Event) -> bool:
    return event["event"] == "progress" and event["stage"] == "pretrain/ssl" and event["done"] >= 8


def in_the_sweep(event: Event) -> bool:
    return event["event"] == "progress" and event["stage"] == "adapt/north" and "trial" in event["message"]


def in_the_final_fits(event: Event) -> bool:
    return event["event"] == "progress" and event["stage"] == "adapt/north" and "final" in event["message"]


def test_a_job_killed_in_pretraining_sweep_and_final_fits_ends_bit_equal(
    undisturbed: FinishedRun, tmp_path: Path
) -> None:
    manifest = tiny_job(f"file://{tmp_path}/artifacts")
    for reached in (in_pretraining, in_the_sweep, in_the_final_fits):
        assert kill_when(manifest, tmp_path, reached), reached.__name__
    events = run_to_end(manifest, tmp_path)
    assert "pretrain/ssl" not in stages_started(events)
    assert results_of(manifest) == undisturbed.results


def test_a_finished_job_run_again_starts_nothing(undisturbed: FinishedRun) -> None:
    events = run_to_end(undisturbed.manifest, undisturbed.folder)
    assert stages_started(events) == []


def test_a_strategy_added_to_a_hospital_runs_only_its_arms(undisturbed: FinishedRun, tmp_path: Path) -> None:
    manifest = copy.deepcopy(undisturbed.manifest)
    manifest["spec"]["hospitals"][0]["strategies"].append(STRATEGY_ADDED_LATER)
    store = ArtifactStore.open(manifest["spec"]["artifacts"]["uri"])
    before = set(store.storage.sizes("objects"))
    events = run_to_end(manifest, tmp_path)
    assert stages_started(events) == ["adapt/north", "evaluate/north", "report/tiny"]
    added = {key.split("/")[1].partition("-")[0] for key in set(store.storage.sizes("objects")) - before}
    assert added == {"trial", "final"}


def test_the_same_job_in_s3_has_the_same_identities_and_results(
    undisturbed: FinishedRun, versitygw_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in versitygw_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    manifest = tiny_job(f"s3://{versitygw_server.bucket}/tiny")
    run_to_end(manifest, tmp_path)
    assert results_of(manifest) == undisturbed.results
