"""What a user sees of `chex` when something is wrong, and what a command may load before it answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.cli.main import main
from chex_jobs.preflight import run_preflight
from tests.pipeline.manifest import tiny_job


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(tiny_job(f"file://{tmp_path}/artifacts")))
    return path


def write_finished_ingest(tmp_path: Path) -> Path:
    """Commit the first stage of the tiny job with nothing in it; returns its manifest."""
    job = validate_job(tiny_job(f"file://{tmp_path}/artifacts")).job
    assert job is not None
    stage = make_plan(job, run_preflight(job).digests).stages[0]
    place = ArtifactStore.open(job.spec.artifacts.uri).stage(stage.kind, stage.name, stage.identity)
    return Path(place.attempt("first").commit({}).manifest_uri.removeprefix("file://"))


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_damaged_manifest_is_one_line_and_no_traceback(
    command: str, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = write_finished_ingest(tmp_path)
    damaged.write_text(damaged.read_text().replace('"first"', '"worst"'))
    assert main([command, str(manifest)]) == 1
    told = capsys.readouterr().err.strip()
    assert told.startswith(f"chex {command}: {damaged.as_uri()} does not match its own digest")
    assert "\n" not in told


def test_every_fault_of_a_manifest_is_named_with_its_path(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = json.loads(manifest.read_text())
    job["spec"]["seeed"] = 1
    job["spec"]["hospitals"][0]["labelFractions"] = [2]
    manifest.write_text(json.dumps(job))
    assert main(["validate", str(manifest)]) == 2
    told = capsys.readouterr().err
    assert "spec.seeed" in told
    assert "`seed`" in told or "'seed'" in told
    assert "spec.hospitals[0].labelFractions[0]" in told


@pytest.mark.parametrize(
    "spec", ["{encoders: null}", "{encoders: [1]}", "{datasets: 3}", "[]", "{datasets: [{source: 1}]}"]
)
def test_a_location_for_what_a_broken_manifest_lacks_is_refused_without_a_traceback(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text(f"{{spec: {spec}}}")
    assert main(["run", str(tmp_path / "job.yaml"), "--source", "encoders.text=/somewhere"]) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}/job.yaml: ")


def test_a_wrong_column_is_named_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "films.csv").write_text("file,person\na.png,1\n")
    job = tiny_job(f"file://{tmp_path}/artifacts")
    table = {
        "uri": f"file://{tmp_path}",
        "file": "films.csv",
        "image": {"column": "file"},
        "patientColumn": "persons",
    }
    job["spec"]["datasets"][0]["source"] = {"table": table}
    (tmp_path / "job.json").write_text(json.dumps(job))
    assert main(["run", str(tmp_path / "job.json")]) == 1
    assert "films.csv has no column 'persons'; the nearest is 'person'" in capsys.readouterr().err


def test_a_folder_that_is_no_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path), "film.png"]) == 1
    assert "is no deployable model" in capsys.readouterr().err


def test_a_report_before_its_run_says_how_to_get_one(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/chex"])
    assert main(["report", str(manifest)]) == 1
    assert f"run: .venv/bin/chex run {manifest}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["validate", "{manifest}"], ["status", "tiny"], ["submit", "{manifest}"]]
)
def test_what_needs_no_stage_loads_neither_torch_nor_ray(arguments: list[str], manifest: Path) -> None:
    words = [word.format(manifest=manifest) for word in arguments]
    check = f"""
import sys
from chex_jobs.cli import main
try:
    main({words!r})
except SystemExit:
    pass
print(*sorted({{"torch", "ray", "pandas", "numpy", "boto3", "kubernetes"}} & sys.modules.keys()))
"""
    no_cluster = {**os.environ, "KUBECTL": "/no/such/kubectl"}
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, env=no_cluster
    )
    assert done.stdout.splitlines()[-1] == ""
