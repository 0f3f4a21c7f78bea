"""From films to studies and patients."""

import numpy as np
import pytest

from chex_jobs.evaluation.statistics.aggregation import map_units, mean_logits, unit_labels

FILMS = np.array([3, 5, 6, 8])
STUDIES = np.array([1, 1, 2, 9])
PATIENTS = np.array([7, 7, 7, 4])


def test_films_are_their_own_units():
    units = map_units("Image", FILMS, STUDIES, PATIENTS)
    assert units.ordinals.tolist() == [3, 5, 6, 8]
    assert units.patients.tolist() == [7, 7, 7, 4]


def test_logits_of_a_study_are_averaged_over_its_films():
    units = map_units("Study", FILMS, STUDIES, PATIENTS)
    logits = np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 1.0], [7.0, 2.0]])
    np.testing.assert_array_equal(mean_logits(units, logits), [[2, 0], [5, 1], [7, 2]])
    assert units.patients.tolist() == [7, 7, 4]


def test_a_patient_is_positive_if_any_film_is_and_unknown_only_if_all_are():
    units = map_units("Patient", FILMS, STUDIES, PATIENTS)
    labels = np.array([[0.0, np.nan], [1.0, np.nan], [np.nan, 0.0], [np.nan, np.nan]])
    found = unit_labels(units, labels)
    assert units.ordinals.tolist() == [4, 7]
    np.testing.assert_array_equal(found, [[np.nan, np.nan], [1.0, 0.0]])


def test_a_study_of_two_patients_is_an_error():
    with pytest.raises(ValueError, match="more than one patient"):
        map_units("Study", FILMS, np.array([1, 1, 2, 2]), PATIENTS)
