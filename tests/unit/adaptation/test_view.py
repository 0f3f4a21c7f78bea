from typing import Any

import numpy as np
import pytest

from chex_jobs.adaptation.visible_data import AdaptationData, HiddenFilmRead, labelled_patients

SPLIT = np.array(["train", "validate", "test", "", "train"])


class Films:
    """A data set of five films whose pixels are their ordinals."""

    def __init__(self, num_folds: int = 0) -> None:
        self.split = SPLIT if not num_folds else np.array([""] * 5)
        self.fold = np.array([0, 1, 2, 0, 1], dtype=np.int32) if num_folds else np.full(5, -1, dtype=np.int32)
        self.num_folds = num_folds
        self.patients = self.studies = np.arange(5, dtype=np.int32)
        self.unit = "Image"

    def __len__(self) -> int:
        return 5

    def film(self, i: int) -> np.ndarray:
        return np.full((2, 2), i, dtype=np.uint8)

    def labels(self, task: str) -> np.ndarray:
        return np.array([1, 0, 1, 0, 1], dtype=np.float32)


def view(num_folds: int = 0, fold: int | None = None) -> AdaptationData:
    dataset: Any = Films(num_folds)
    return AdaptationData(dataset, fold)


@pytest.mark.parametrize("ordinal", [2, 3], ids=["test", "no part"])
def test_reading_a_film_that_is_not_for_adaptation_raises(ordinal: int) -> None:
    with pytest.raises(HiddenFilmRead, match=f"film {ordinal} is neither"):
        view().film(ordinal)


@pytest.mark.parametrize("ordinal", [0, 1, 4])
def test_training_and_validation_films_can_be_read(ordinal: int) -> None:
    assert (view().film(ordinal) == ordinal).all()


def test_labels_of_hidden_films_look_unknown() -> None:
    assert np.isnan(view().labels("icu")).tolist() == [False, False, True, True, False]
    assert np.isnan(view().label_matrix(("icu", "effusion"))[2]).all()


def test_every_fold_hides_its_own_test_films() -> None:
    for fold in range(3):
        data = view(3, fold)
        hidden = np.flatnonzero(Films(3).fold == fold)
        assert not np.isin(hidden, [*data.train, *data.validate]).any()
        for ordinal in hidden:
            with pytest.raises(HiddenFilmRead):
                data.film(int(ordinal))


def test_labelled_patients_are_those_who_train_and_validate() -> None:
    dataset: Any = Films()
    assert labelled_patients(dataset, ("icu",), 1.0, 0) == 3


def test_a_patient_of_several_folds_is_labelled_once() -> None:
    dataset: Any = Films(3)
    assert labelled_patients(dataset, ("icu",), 1.0, 0) == 5


def test_fewer_labels_are_fewer_patients() -> None:
    dataset: Any = Films()
    dataset.split = np.array(["train", "train", "train", "train", "validate"])
    assert labelled_patients(dataset, ("icu",), 0.5, 0) == 3
