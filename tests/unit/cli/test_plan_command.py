"""What `chex plan` shows: the data, why each stage is to run, and only the work that is left."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.cli.main import main
from chex_jobs.data.ingest.ingest import ingest
from chex_jobs.preflight import run_preflight
from tests.pipeline.manifest import tiny_job
from tests.unit.data.films import hospital_dataset, write_hospital


def tiny(tmp_path: Path) -> dict[str, Any]:
    """A copy that a test may change."""
    return copy.deepcopy(tiny_job(f"file://{tmp_path}/artifacts"))


def written(tmp_path: Path, plain: dict[str, Any]) -> Path:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(plain))
    return path


def plan_of(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["plan", str(path), "-o", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def stages(described: dict[str, Any]) -> dict[str, list[str]]:
    """Why each stage is to run; of a finished one nothing."""
    return {stage["stage"]: stage["why"] for stage in described["stages"]}


def finish_ingest_and_pretraining(plain: dict[str, Any]) -> None:
    """Commit these stages with nothing in them."""
    job = validate_job(plain).job
    assert job is not None
    store = ArtifactStore.open(job.spec.artifacts.uri)
    for stage in make_plan(job, run_preflight(job).digests).stages:
        if stage.kind in ("ingest", "pretrain"):
            place = store.stage(stage.kind, stage.name, stage.identity, stage.identified)
            place.attempt("first").commit({})


def test_where_nothing_was_finished_every_stage_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = written(tmp_path, tiny(tmp_path))
    assert set(map(tuple, stages(plan_of(path, capsys)).values())) == {
        ("nothing of this name was finished here",)
    }


def test_a_changed_field_is_named_where_it_counts_and_its_followers_name_their_parent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    plain = tiny(tmp_path)
    finish_ingest_and_pretraining(plain)
    epochs = plain["spec"]["pretraining"][0]["optimization"]["epochs"]
    plain["spec"]["pretraining"][0]["optimization"]["epochs"] = epochs + 5
    plain["spec"]["datasets"][1]["storedShortSide"] = 48
    why = stages(plan_of(written(tmp_path, plain), capsys))
    assert why["ingest/archive"] == []
    (size,) = why["ingest/north"]
    assert size.startswith("dataset.storedShortSide: ")
    assert size.endswith(" → 48")
    assert why["pretrain/ssl"] == [f"run.optimization.epochs: {epochs} → {epochs + 5}"]


def test_films_that_were_decoded_are_no_work_that_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plain = tiny(tmp_path)
    job = validate_job(plain).job
    assert job is not None
    north = make_plan(job, {}).stage("ingest", "north")
    assert north.work.ingest is not None
    artifact = ArtifactStore.open(job.spec.artifacts.uri).stage(north.kind, north.name, north.identity)
    ingest(north.work.ingest.dataset, seed=north.seed, attempt=artifact.attempt("first"))
    plain["spec"]["seed"] = north.seed + 1
    described = plan_of(written(tmp_path, plain), capsys)["stages"]
    left = {stage["stage"]: stage["filmsToDecode"] for stage in described if "filmsToDecode" in stage}
    assert left["ingest/north"] == 0
    assert left["ingest/archive"] > 0


def test_a_task_that_nobody_uses_leaves_every_stage_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    plain = tiny(tmp_path)
    before = plan_of(written(tmp_path, plain), capsys)["stages"]
    spare = {"name": "spare", "column": "Cardiomegaly", "positive": {"values": ["1"]}}
    plain["spec"]["datasets"][1]["tasks"].append(spare)
    assert plan_of(written(tmp_path, plain), capsys)["stages"] == before


def test_yaml_and_json_say_the_same_of_a_table_with_findings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_hospital(tmp_path / "hospital")
    plain = tiny(tmp_path)
    plain["spec"]["datasets"] = [hospital_dataset(tmp_path / "hospital").plain()]
    plain["spec"]["pretraining"] = []
    hospital = plain["spec"]["hospitals"][0] | {"dataset": "hospital", "tasks": ["icu"]}
    plain["spec"]["hospitals"] = [{**hospital, "startFrom": [{"random": {}}]}]
    path = written(tmp_path, plain)
    as_json = plan_of(path, capsys)
    assert main(["plan", str(path), "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == as_json
    assert as_json["datasets"]["hospital"]["findings"]


def test_films_and_patients_are_shown_by_task_part_and_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    north = plan_of(written(tmp_path, tiny(tmp_path)), capsys)["datasets"]["north"]
    (task,) = north["tasks"]
    assert set(task["parts"]) == {"train", "validate", "test"}
    for part, classes in task["parts"].items():
        assert sum(count["films"] for count in classes.values()) == north["parts"][part]["films"]
    assert sum(count["films"] for count in north["parts"].values()) == north["films"]


def test_a_test_part_that_supports_no_claim_is_told_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["plan", str(written(tmp_path, tiny(tmp_path)))]) == 0
    assert "will end in: Insufficient data" in capsys.readouterr().out


def test_a_task_without_a_class_is_told_and_has_no_arms(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plain = tiny(tmp_path)
    plain["spec"]["datasets"][1]["tasks"][0]["positive"] = {"present": {}}
    described = plan_of(written(tmp_path, plain), capsys)
    (task,) = described["datasets"]["north"]["tasks"]
    assert task["not_trained"].startswith("effusion: no training film is negative")
    assert described["hospitals"][0]["arms"] == []
