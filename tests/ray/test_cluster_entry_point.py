"""One attempt at a stage as a cluster runs it: what it answers, and what it tells the operator."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chex_api.attempt import FAILURE, RESULT, STOPPED
from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_api.stage import StageProgress, StageSpec
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.executor.cluster import FINISHED, INTERRUPTED, USER_ERROR_EXIT, attempt_id, run_attempt
from chex_jobs.handover.context import Machine
from tests.pipeline.manifest import tiny_job

pytestmark = pytest.mark.usefixtures("two_core_ray")


@dataclass
class Told:
    """What the operator would read."""

    progress: list[StageProgress] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)

    def report(self, progress: StageProgress) -> None:
        self.progress.append(progress)

    def finish(self, key: str, plain: object) -> bool:
        self.outcome[key] = plain
        return True


def ingest_stage(folder: Path, **source: Any) -> StageSpec:
    manifest = tiny_job(f"file://{folder}/artifacts")
    if source:
        manifest["spec"]["datasets"][0]["source"] = source
    job = validate_job(manifest).job
    assert job is not None
    return make_plan(job, {"datasets/archive": "d" * 64}).stage("ingest", "archive")


def run(stage: StageSpec, told: Told, stop: threading.Event | None = None) -> int:
    return run_attempt(stage, attempt_id("chex-1", {}), Machine(cpus=2), told, stop or threading.Event())


def test_a_finished_stage_answers_zero_and_names_its_manifest(tmp_path: Path) -> None:
    stage, told = ingest_stage(tmp_path), Told()
    assert run(stage, told) == FINISHED
    done = ArtifactStore.open(stage.artifacts_uri).stage("ingest", "archive", stage.identity).finished()
    assert done is not None
    assert told.outcome[RESULT][
        "manifestURI" if "manifestURI" in told.outcome[RESULT] else "manifestUri"
    ] == (done.manifest_uri)
    assert told.progress[-1].done == told.progress[-1].total > 0


def test_a_second_attempt_adopts_what_is_finished(tmp_path: Path) -> None:
    stage, told = ingest_stage(tmp_path), Told()
    assert run(stage, Told()) == FINISHED
    assert run(stage, told) == FINISHED
    assert told.progress == []


def test_a_fault_of_the_data_is_told_as_one_that_no_retry_mends(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("file,person\na.png,1\n")
    table = {
        "uri": f"file://{tmp_path}",
        "file": "films.csv",
        "image": {"column": "file"},
        "patientColumn": "persons",
    }
    told = Told()
    assert run(ingest_stage(tmp_path, table=table), told) == USER_ERROR_EXIT
    assert told.outcome[FAILURE]["userError"] is True
    assert "films.csv has no column 'persons'" in told.outcome[FAILURE]["message"]


def test_a_stopped_attempt_says_so_and_has_no_result(tmp_path: Path) -> None:
    stop, told = threading.Event(), Told()
    stop.set()
    assert run(ingest_stage(tmp_path), told, stop) == INTERRUPTED
    assert told.outcome == {STOPPED: {}}


def test_attempts_of_one_name_write_to_places_of_their_own() -> None:
    assert attempt_id("chex-1", {"RAY_CLUSTER_NAME": "chex-1-x7k2p"}).startswith("chex-1-x7k2p-")
    assert attempt_id("chex-1", {}) != attempt_id("chex-1", {})
