"""What lacks a class in training or validation is not trained: it could only be noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chex_jobs.adaptation.learnable import unlearnable_tasks
from chex_jobs.adaptation.stage import adapt
from chex_jobs.handover.context import Machine, StageContext
from tests.unit.adaptation.small_hospital import ingested_stage


class Films:
    """Eight films of eight patients: four train, two validate, two test; or two folds of... as given."""

    def __init__(self, icu: list[float], *, unit: str = "Image", folds: int = 0) -> None:
        self.icu = np.array(icu, dtype=np.float32)
        self.unit, self.num_folds = unit, folds
        self.split = (
            np.array(["train"] * 4 + ["validate"] * 2 + ["test"] * 2) if not folds else np.array([""] * 8)
        )
        self.fold = (np.arange(8) % folds if folds else np.full(8, -1)).astype(np.int32)
        self.patients = np.arange(8, dtype=np.int32) if unit == "Image" else np.arange(8, dtype=np.int32) // 2
        self.studies = self.patients

    def __len__(self) -> int:
        return 8

    def labels(self, task: str) -> np.ndarray:
        return self.icu if task == "icu" else np.tile(np.array([1, 0], dtype=np.float32), 4)


def reasons(dataset: Any) -> dict[str, str]:
    return unlearnable_tasks(dataset, ("icu", "effusion"))


def test_a_task_with_both_classes_in_training_and_validation_is_learnable() -> None:
    assert reasons(Films([1, 0, 1, 0, 1, 0, 0, 0])) == {}


@pytest.mark.parametrize(
    ("icu", "reason"),
    [
        ([1, 0, 1, 0, 0, 0, 1, 1], "icu: no validation film is positive, so there is nothing to choose by."),
        ([1, 0, 1, 0, 1, 1, 0, 0], "icu: no validation film is negative, so there is nothing to choose by."),
        ([0, 0, 0, 0, 1, 0, 1, 0], "icu: no training film is positive, so there is nothing to learn from."),
        (
            [float("nan")] * 8,
            "icu: no training film is positive or negative, so there is nothing to learn from.",
        ),
    ],
    ids=["no positive validates", "no negative validates", "no positive trains", "no label"],
)
def test_a_class_that_is_missing_is_named_with_its_part(icu: list[float], reason: str) -> None:
    assert reasons(Films(icu)) == {"icu": reason}


def test_what_is_scored_counts_not_the_film() -> None:
    """Each validation patient has a positive film, so no patient is negative."""
    assert reasons(Films([1, 1, 0, 0, 1, 0, 0, 0], unit="Patient"))["effusion"].startswith(
        "effusion: no training patient is negative"
    )


def test_every_fold_needs_both_classes() -> None:
    found = reasons(Films([1, 0, 0, 0, 0, 0, 0, 0], folds=4))
    assert "of fold" in found["icu"]


def test_a_hospital_that_could_only_be_noise_trains_nothing_and_says_why(tmp_path: Path) -> None:
    rare = {
        "patients": 40,
        "hospital": 1,
        "seed": 2,
        "prevalence": [{"finding": "Effusion", "prevalence": 0.06}],
    }
    stage, store = ingested_stage(tmp_path, source={"phantom": rare}, split={"groupedFolds": 10})
    done = adapt(stage, StageContext(store, "attempt", Machine(1), on_progress=lambda _: None))
    assert done is not None
    document = done.read_json("arms.json")
    assert document["arms"] == []
    assert document["tasks"] == []
    assert list(document["unlearnable"]) == ["effusion"]
    assert done.summary["headline"].startswith("nothing to train; effusion: no ")
