"""Preflight: no model would meet a validation or test patient, or a film, that it has seen."""

from pathlib import Path
from typing import Any

import pytest

from chex_api.loading import validate_job
from chex_jobs.preflight import PreflightFailed, run_preflight
from tests.unit.data.films import drawn_film, hospital_dataset, png, write_csv, write_hospital

DATASETS = ("archive", "north", "south")


def write(root: Path, name: str, ids: list[str], first_film: int = 0) -> dict[str, Any]:
    """A table with two films of each id, beginning with that drawing; returns the manifest's data set."""
    folder = root / name
    rows = write_hospital(folder, num_films=2 * len(ids))
    for number, row in enumerate(rows):
        row["patient"] = ids[number // 2]
        (folder / "films" / str(row["file"])).write_bytes(png(drawn_film(first_film + number)))
    write_csv(folder / "data.csv", rows)
    return hospital_dataset(folder, name=name, patientDomain="network").plain()


def look(root: Path, datasets: list[dict[str, Any]], **changes: Any) -> list[str]:
    """What preflight finds in a job of these data sets: archive is pretrained on, north is also tested on south."""
    hospital = {
        "tasks": ["icu"], "startFrom": [{"stage": "ssl"}], "strategies": [{"name": "probe", "transfer": "LinearProbe"}],
    }  # fmt: skip
    north = {"name": "north", "dataset": "north", **hospital, "evaluation": {"alsoOn": ["south"]}}
    plain = {
        "apiVersion": "chexdragon.dev/v1alpha1",
        "kind": "ChexTrainingJob",
        "metadata": {"name": "network"},
        "spec": {
            "artifacts": {"uri": (root / "artifacts").as_uri()},
            "datasets": datasets,
            "pretraining": [
                {
                    "name": "ssl",
                    "dataset": "archive",
                    "objective": {"moCo": {"queueSize": 16}},
                    "optimization": {"globalBatchSize": 16},
                    "batchNorm": {"groupSize": 8},
                }
            ],
            "hospitals": [north | changes, {"name": "south", "dataset": "south", **hospital}],
        },
    }
    loaded = validate_job(plain)
    assert loaded.job is not None, loaded.faults
    try:
        run_preflight(loaded.job)
    except PreflightFailed as error:
        return [str(fault) for fault in error.faults]
    return []


def ids(prefix: str, count: int = 16) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


EVERYONE_TRAINS = {"split": {"patients": {"validate": 0.0, "test": 0.0}}}
EVERYONE_TESTS = {"split": {"patients": {"validate": 0.05, "test": 0.9}}}


def test_data_sets_that_share_nobody_pass(tmp_path: Path) -> None:
    datasets = [write(tmp_path, name, ids(name), 40 * place) for place, name in enumerate(DATASETS)]
    assert look(tmp_path, datasets) == []


@pytest.mark.parametrize("spelling", ["{}", "{}.0", "00{}", " {} ", "{}\N{NO-BREAK SPACE}"])
def test_patients_of_an_archive_who_test_a_hospital_are_found_however_their_ids_are_spelled(
    tmp_path: Path, spelling: str
) -> None:
    archive = write(tmp_path, "archive", [spelling.format(100 + number) for number in range(16)])
    north = write(tmp_path, "north", [str(100 + number) for number in range(16)], 40)
    south = write(tmp_path, "south", ids("south"), 80)
    found = look(tmp_path, [archive | EVERYONE_TRAINS, north, south])
    assert len(found) == 1
    assert found[0].startswith("spec.pretraining[0].dataset")
    assert "'north'" in found[0]
    assert "of its training patients" in found[0]


def test_a_hospitals_own_training_patients_are_not_tested_on_elsewhere(tmp_path: Path) -> None:
    archive = write(tmp_path, "archive", ids("archive"))
    north = write(tmp_path, "north", ids("n"), 40)
    south = write(tmp_path, "south", [name.upper() for name in ids("n")], 80)
    (fault,) = look(tmp_path, [archive, north, south | EVERYONE_TESTS])
    assert fault.startswith("spec.hospitals[0].evaluation.alsoOn[0]")
    assert "patients test hospital 'south'" in fault


def test_a_hospitals_own_training_films_are_not_tested_on_elsewhere_whoever_they_are_said_to_show(
    tmp_path: Path,
) -> None:
    archive = write(tmp_path, "archive", ids("archive"))
    north = write(tmp_path, "north", ids("north"), 40)
    south = write(tmp_path, "south", ids("south"), 40)
    (fault,) = look(tmp_path, [archive, north, south])
    assert fault.startswith("spec.hospitals[0].evaluation.alsoOn[0]")
    assert "films are also films that test hospital 'south'" in fault


def test_with_folds_every_patient_of_a_hospital_has_trained_one_of_its_models(tmp_path: Path) -> None:
    archive = write(tmp_path, "archive", ids("archive"))
    north = write(tmp_path, "north", ids("n"), 40) | {"split": {"groupedFolds": 4}}
    south = write(tmp_path, "south", ids("n"), 80) | {"split": {"groupedFolds": 4}}
    (fault,) = look(tmp_path, [archive, north, south])
    assert "16 of its hospital's own training or validation patients test hospital 'south'" in fault


@pytest.mark.parametrize(
    ("seen", "expected"), [("north", "validate or test hospital 'north'"), ("south", "test hospital 'south'")]
)
def test_weights_that_have_seen_a_data_set_are_not_judged_on_it(
    tmp_path: Path, seen: str, expected: str
) -> None:
    datasets = [write(tmp_path, name, ids(name), 40 * place) for place, name in enumerate(DATASETS)]
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "image_encoder.safetensors").write_bytes(b"weights")
    start = {"weights": {"uri": weights.as_uri(), "trainedOn": [seen]}}
    found = look(tmp_path, datasets, startFrom=[{"stage": "ssl"}, start])
    assert len(found) == 2, "patients and films"
    assert all(fault.startswith("spec.hospitals[0].startFrom[1]") for fault in found)
    assert all(expected in fault for fault in found)


def test_no_fault_names_a_patient_or_a_film(tmp_path: Path) -> None:
    datasets = [write(tmp_path, name, ids("secret")) for name in DATASETS]
    found = look(tmp_path, [datasets[0] | EVERYONE_TRAINS, *datasets[1:]])
    assert found
    assert not any("secret" in fault or "film-" in fault for fault in found)
