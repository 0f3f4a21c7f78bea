"""Preflight: one look, all that is wrong, and nothing opened that the manifest does not read."""

import copy
from pathlib import Path
from typing import Any

import pytest

from chex_api.job import ChexTrainingJob
from chex_api.loading import validate_job
from chex_jobs.artifacts import file_hashes
from chex_jobs.artifacts.file_storage import FileStorage
from chex_jobs.preflight import PreflightFailed, run_preflight
from tests.pipeline.manifest import tiny_job
from tests.unit.data.films import drawn_film, hospital_dataset, png, write_csv, write_hospital


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(file_hashes, "TICK_NS", 0)


def job_of(tmp_path: Path, **changes: Any) -> ChexTrainingJob:
    """A hospital of the films that `write_hospital` wrote, without pretraining."""
    plain = copy.deepcopy(tiny_job((tmp_path / "artifacts").as_uri()))
    plain["spec"]["datasets"] = [hospital_dataset(tmp_path / "hospital", **changes).plain()]
    plain["spec"]["pretraining"] = []
    hospital = plain["spec"]["hospitals"][0] | {"dataset": "hospital", "tasks": ["icu"]}
    plain["spec"]["hospitals"] = [{**hospital, "startFrom": [{"random": {}}]}]
    loaded = validate_job(plain)
    assert loaded.job is not None, loaded.faults
    return loaded.job


def test_more_missing_films_than_max_share_stop_it_with_an_example_that_only_the_terminal_shows(
    tmp_path: Path,
):
    write_hospital(tmp_path / "hospital")
    for number in range(4):
        (tmp_path / "hospital" / "films" / f"film-{number:03d}.png").unlink()
    with pytest.raises(PreflightFailed) as caught:
        run_preflight(job_of(tmp_path))
    (fault,) = caught.value.faults
    assert fault.path == "spec.datasets[0]"
    assert "4 of 12 films (33.3%) cannot be used (MissingFile" in fault.message
    assert "such as row 1" in fault.message
    assert "wanted 'films/film-000.png'" in fault.example
    assert "film-000" not in str(caught.value)


def test_missing_films_that_max_share_allows_are_counted(tmp_path: Path):
    write_hospital(tmp_path / "hospital")
    (tmp_path / "hospital" / "films" / "film-000.png").unlink()
    report = run_preflight(job_of(tmp_path, quarantine={"maxShare": 0.2}))
    assert report.datasets["hospital"].films == 11
    assert any(finding.reason.startswith("MissingFile") for finding in report.datasets["hospital"].findings)


def test_a_film_is_read_once_and_never_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_hospital(tmp_path / "hospital")
    (tmp_path / "hospital" / "unrelated.bin").write_bytes(b"x" * 1000)
    read: list[str] = []
    reading = file_hashes._Remembered._read  # pyright: ignore[reportPrivateUsage]

    def spying(self: Any, path: Path) -> tuple[int, str]:
        read.append(path.name)
        return reading(self, path)

    monkeypatch.setattr(file_hashes._Remembered, "_read", spying)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(FileStorage, "list", lambda *_: pytest.fail("every file was hashed"))
    first = run_preflight(job_of(tmp_path))
    assert sorted(read) == [f"film-{number:03d}.png" for number in range(12)]
    assert run_preflight(job_of(tmp_path)).digests == first.digests
    assert len(read) == 12
    (tmp_path / "hospital" / "films" / "film-003.png").write_bytes(png(drawn_film(33)))
    assert run_preflight(job_of(tmp_path)).digests != first.digests
    assert read[12:] == ["film-003.png"]


def test_a_long_look_tells_how_far_it_is(tmp_path: Path):
    write_hospital(tmp_path / "hospital")
    told: list[tuple[str, int, int]] = []
    run_preflight(job_of(tmp_path), lambda *progress: told.append(progress))
    assert told[0] == ("hospital", 1, 12)
    assert told[-1] == ("hospital", 12, 12)


def test_a_data_set_that_nobody_reads_is_not_looked_at(tmp_path: Path):
    write_hospital(tmp_path / "hospital")
    job = job_of(tmp_path)
    spare = hospital_dataset(tmp_path / "nowhere", name="spare")
    spec = job.spec.model_copy(update={"datasets": (*job.spec.datasets, spare)})
    assert set(run_preflight(job.model_copy(update={"spec": spec})).datasets) == {"hospital"}


def test_every_fold_is_counted_where_there_are_folds(tmp_path: Path):
    write_hospital(tmp_path / "hospital")
    outlook = run_preflight(job_of(tmp_path, split={"groupedFolds": 3})).datasets["hospital"]
    assert set(outlook.tasks[0].parts) == {"fold-0", "fold-1", "fold-2"}
    assert sum(part.films for part in outlook.parts.values()) == 12


def test_rows_that_are_left_out_are_told_by_reason(tmp_path: Path):
    rows = write_hospital(tmp_path / "hospital")
    write_csv(tmp_path / "hospital" / "data.csv", [{**rows[0], "file": "", "patient": "p"}, *rows[1:]])
    findings = run_preflight(job_of(tmp_path)).datasets["hospital"].findings
    assert [(finding.reason, finding.count) for finding in findings if finding.kind == "LeftOut"] == [
        ("no film named", 1)
    ]


def test_every_fault_of_a_data_set_is_told_at_once_and_no_film_is_read_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = write_hospital(tmp_path / "hospital")
    monkeypatch.setattr(
        file_hashes._Remembered,  # pyright: ignore[reportPrivateUsage]
        "_read",
        lambda *_: pytest.fail("a film was read"),
    )
    for number in range(4):
        (tmp_path / "hospital" / "films" / f"film-{number:03d}.png").unlink()
    write_csv(tmp_path / "hospital" / "data.csv", [{**row, "sex": "unheard of"} for row in rows])
    tasks = [
        {"name": "icu", "column": "icu", "positive": {"present": {}}},
        {"name": "female", "column": "sex", "positive": {"values": ["f"]}},
    ]
    with pytest.raises(PreflightFailed) as caught:
        run_preflight(job_of(tmp_path, tasks=tasks, split={"groupedFolds": 9}))
    told = [fault.message for fault in caught.value.faults]
    assert [
        any(word in message for message in told) for word in ("female", "MissingFile", "groupedFolds")
    ] == [
        True,
        True,
        True,
    ]


def test_an_example_names_the_nearest_film_that_is_there(tmp_path: Path):
    write_hospital(tmp_path / "hospital")
    for film in (tmp_path / "hospital" / "films").iterdir():
        film.rename(film.with_name(film.name.upper()))
    with pytest.raises(PreflightFailed) as caught:
        run_preflight(job_of(tmp_path))
    (fault,) = caught.value.faults
    assert "found 'films/FILM-000.PNG'" in fault.example
    assert "FILM-000" not in str(fault)
