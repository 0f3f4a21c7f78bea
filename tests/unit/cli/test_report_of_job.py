"""Which files of a report come to this machine, and whose report is meant."""

import shutil
from pathlib import Path

import pytest

from chex_api.summaries import ReportSummary
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.artifacts.file_storage import FileStorage
from chex_jobs.cli import report_copy
from chex_jobs.cli.main import main
from chex_jobs.cli.run_command import conclusions
from tests.unit.cli.cluster_jobs import stage
from tests.unit.cli.fake_kubectl import give_kubectl

IDENTITY = "0123456789ab" + "c" * 52
TO_READ = {"report.html", "results.parquet", "models/north/model-card.md"}
EXACT_RECORD = {"results.json"}
"""With every small count: nothing that is passed on."""
MODEL = {"models/north/model.safetensors", "models/north/config.json"}


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FinishedArtifact:
    """The report of the job `network`, written."""
    artifacts = f"file://{tmp_path}/artifacts"
    attempt = ArtifactStore.open(artifacts).stage("report", "network", IDENTITY).attempt("one")
    for path in TO_READ | MODEL | EXACT_RECORD:
        attempt.write_bytes(path, path.encode())
    finished = attempt.commit({"page": f"{attempt.uri}/report.html"})
    pinned = {"manifestURI": finished.manifest_uri, "manifestSha256": finished.manifest_sha256}
    give_kubectl(
        tmp_path, monkeypatch, artifacts=artifacts, stages=[stage("report/network", "Finished", **pinned)]
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return finished


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser was told to open."""
    uris: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda uri: uris.append(uri) or True)
    return uris


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_saving_copies_what_people_read_and_no_model(report: FinishedArtifact, tmp_path: Path) -> None:
    assert main(["report", "network", "--save", str(tmp_path / "out")]) == 0
    assert files_in(tmp_path / "out") == TO_READ


def test_models_are_saved_when_they_are_asked_for(report: FinishedArtifact, tmp_path: Path) -> None:
    assert main(["report", "network", "--save", str(tmp_path / "out"), "--models"]) == 0
    assert files_in(tmp_path / "out") == TO_READ | MODEL
    assert (tmp_path / "out/models/north/model.safetensors").read_text() == "models/north/model.safetensors"


def test_models_without_a_folder_to_save_them_are_wrong_usage(
    report: FinishedArtifact, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "network", "--models"]) == 2
    assert capsys.readouterr().err == "chex report: --models goes with --save FOLDER\n"


def test_a_page_in_a_folder_is_opened_where_it_lies(
    report: FinishedArtifact, opened: list[str], tmp_path: Path
) -> None:
    assert main(["report", "network", "--open"]) == 0
    assert opened == [report.summary["page"]]


def test_a_page_in_a_bucket_is_fetched_alone_and_into_the_same_place_again(
    report: FinishedArtifact, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_copy, "is_local", lambda _: False)
    assert main(["report", "network", "--open"]) == 0
    assert main(["report", "network", "--open"]) == 0
    assert files_in(tmp_path / "cache") == {f"chexdragon/reports/{IDENTITY}/report.html"}
    assert opened == [(tmp_path / f"cache/chexdragon/reports/{IDENTITY}/report.html").as_uri()] * 2


def test_what_is_saved_is_never_read_whole_into_memory(
    report: FinishedArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    whole = FileStorage.read_bytes
    monkeypatch.setattr(
        FileStorage, "read_bytes", lambda storage, key: read.append(key) or whole(storage, key)
    )
    assert main(["report", "network", "--save", str(tmp_path / "out"), "--models"]) == 0
    assert read == ["manifest.json"]


def test_a_file_that_was_changed_since_is_not_saved(
    report: FinishedArtifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = Path(report.summary["page"].removeprefix("file://"))
    stored.write_bytes(stored.read_bytes().swapcase())
    assert main(["report", "network", "--save", str(tmp_path / "out")]) == 1
    assert "changed or damaged" in capsys.readouterr().err
    assert "report.html" not in files_in(tmp_path / "out")
    assert "report.html.part" not in files_in(tmp_path / "out")


def test_a_folder_with_the_name_of_a_job_does_not_hide_the_job(
    report: FinishedArtifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "network").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["report", "network"]) == 0
    assert capsys.readouterr().out == f"{report.summary['page']}\n"


def test_a_file_with_the_name_of_a_job_is_a_manifest(
    report: FinishedArtifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "network").write_text("[]")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "network"]) == 2
    assert capsys.readouterr().err.startswith("network: ")


def test_a_report_before_a_run_is_got_by_the_program_as_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_kubectl(tmp_path, monkeypatch, phase="Pretraining")
    monkeypatch.setattr("sys.argv", [".venv/bin/chex"])
    assert main(["report", "network"]) == 1
    assert "it is Pretraining; see: .venv/bin/chex status network\n" in capsys.readouterr().err


def test_what_a_copied_artifacts_folder_says_points_into_the_copy(tmp_path: Path) -> None:
    first, second = tmp_path / "artifacts", tmp_path / "copy of artifacts"
    attempt = ArtifactStore.open(first.as_uri()).stage("report", "network", IDENTITY).attempt("one")
    for path in TO_READ | MODEL | EXACT_RECORD:
        attempt.write_bytes(path, path.encode())
    summary = ReportSummary(
        headline="2 hospitals",
        page=f"{attempt.uri}/report.html",
        conclusions={"north": "Deploy ssl/probe@1.", "south": "No model: validation could not choose."},
        models={"north": "models/north"},
        generated_films=True,
    )
    attempt.commit(summary.plain())
    shutil.copytree(first, second)
    shutil.rmtree(first)
    copied = ArtifactStore.open(second.as_uri()).stage("report", "network", IDENTITY).finished()
    assert copied is not None
    said = list(conclusions(copied))
    assert said[0] == "north: Deploy ssl/probe@1."
    assert said[2] == "south: No model: validation could not choose."
    places = [line.rpartition(": ")[2] for line in (said[1], said[-1])]
    assert all(place.startswith(second.as_uri()) for place in places)
    assert places[0].endswith("/models/north")
    assert places[1].endswith("/report.html")
