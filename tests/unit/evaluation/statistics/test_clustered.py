"""Obuchowski's covariance against its printed formula, DeLong's as a special case, and coverage in simulations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import t as student

from chex_jobs.evaluation.statistics.clustered import (
    Influence,
    average_precisions,
    covariance,
    delong,
    influences,
    mean_influence,
    mean_of_units,
    obuchowski,
    overlap_of_folds,
    tail_degrees_of_freedom,
)
from chex_jobs.evaluation.statistics.discrimination import auprc
from tests.unit.evaluation.clustered_films import simulate, true_auroc
from tests.unit.evaluation.reference import delong_by_formula, jackknife_variance, obuchowski_by_formula


def mixed_patients(seed: int, num_scorers: int = 3):
    """Patients with films of both classes too, and tied scores."""
    rng = np.random.default_rng(seed)
    patients = rng.integers(0, 18, size=60)
    labels = (rng.random(60) < 0.2 + 0.4 * (patients % 3 == 0)).astype(float)
    labels[:2], patients[:2], labels[2:4], patients[2:4] = 1.0, [0, 1], 0.0, [2, 3]
    scores = (labels + rng.normal(size=(num_scorers, 60)) + 0.5 * (patients % 4)).round(1)
    return scores, labels, patients


@pytest.mark.parametrize("seed", range(5))
def test_covariances_equal_the_printed_formula_term_by_term(seed):
    scores, labels, patients = mixed_patients(seed)
    found = obuchowski(scores, labels, patients)
    for j in range(3):
        for k in range(3):
            expected = obuchowski_by_formula(scores[j], scores[k], labels, patients)
            assert found.covariance[j, k] == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_with_one_film_per_patient_it_is_delong(seed):
    scores, labels, _ = mixed_patients(seed)
    found = delong(scores, labels)
    for j in range(3):
        for k in range(3):
            assert found.covariance[j, k] == pytest.approx(
                delong_by_formula(scores[j], scores[k], labels), rel=1e-9
            )


def test_it_agrees_with_leaving_out_one_patient_at_a_time():
    films = simulate(np.random.default_rng(3), num_positive=30, num_negative=50, films_of_positive=3)
    found = obuchowski(films.scores[0], films.labels, films.patients).covariance[0, 0]
    assert found == pytest.approx(jackknife_variance(films.scores[0], films.labels, films.patients), rel=0.08)


def test_films_of_a_patient_that_repeat_each_other_count_once():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=60), np.repeat([1.0, 0.0], 30)
    once = delong(scores, labels).covariance[0, 0]
    patients = np.repeat(np.arange(60), 4)
    repeated = obuchowski(scores[patients], labels[patients], patients).covariance[0, 0]
    assert repeated == pytest.approx(once, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_covariances_are_symmetric_and_never_negative(seed):
    scores, labels, patients = mixed_patients(seed, num_scorers=4)
    matrix = obuchowski(scores, labels, patients).covariance
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-15)
    assert np.linalg.eigvalsh(matrix).min() > -1e-12


def test_the_variance_of_a_mean_of_scorers_is_the_mean_of_the_covariance_matrix():
    scores, labels, patients = mixed_patients(1)
    items = influences(scores, labels, patients, 18)
    of_mean = covariance([mean_influence(items)])[0, 0]
    assert of_mean == pytest.approx(covariance(items).mean(), rel=1e-9)


def test_the_variance_of_a_difference_comes_from_the_covariance():
    scores, labels, patients = mixed_patients(2)
    first, second, _ = influences(scores, labels, patients, 18)
    matrix = covariance([first, second])
    assert covariance([first - second])[0, 0] == pytest.approx(
        matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1], rel=1e-9
    )


def test_degrees_of_freedom_are_those_of_the_smaller_class_of_the_smaller_sample():
    rng = np.random.default_rng(0)
    labels, patients = (
        np.repeat([1.0, 0.0], [12, 28]),
        np.arange(40) // 2,
    )  # 6 positive patients, 14 negative ones
    (few,) = influences(rng.normal(size=(1, 40)), labels, patients, 30)
    (many,) = influences(rng.normal(size=(1, 40)), labels, np.arange(40) % 30, 30)
    assert few.degrees_of_freedom == pytest.approx(5)
    assert (few - many).degrees_of_freedom == mean_influence([many, few]).degrees_of_freedom
    assert (few - many).degrees_of_freedom == pytest.approx(5)


def test_a_patient_with_most_of_the_films_counts_for_more_than_one_and_the_others_for_less():
    rng = np.random.default_rng(0)
    labels, patients = np.repeat([1.0, 0.0], 40), np.r_[np.zeros(31, int), 1 + np.arange(49)]
    (found,) = influences(rng.normal(size=(1, 80)), labels, patients, 50)
    assert found.degrees_of_freedom < 2  # ten positive patients, one of whom has 31 of 40 films


def test_folds_are_samples_of_their_own():
    """A fold's variance is Obuchowski's of that fold; the AUROC over folds is their mean by pairs, and a little less sure."""
    rng = np.random.default_rng(5)
    patients = np.arange(120) // 2
    labels, folds = (rng.random(120) < 0.4).astype(float), patients % 3
    scores = labels + rng.normal(size=120) + 4.0 * folds
    found = influences(scores[None], labels, patients, 60, folds)[0]
    value, variance, pairs = 0.0, 0.0, 0
    for fold in range(3):
        rows = folds == fold
        own = obuchowski(scores[rows], labels[rows], patients[rows])
        number = int(labels[rows].sum() * (1 - labels[rows]).sum())
        value, variance, pairs = (
            value + number * own.aurocs[0],
            variance + number**2 * own.covariance[0, 0],
            pairs + number,
        )
    assert found.value == pytest.approx(value / pairs)
    overlap = overlap_of_folds(np.array([found.value]), 3)[0]
    assert covariance([found])[0, 0] == pytest.approx(overlap * variance / pairs**2)


def test_what_models_have_in_common_counts_most_where_they_know_least_and_folds_are_many():
    assert overlap_of_folds(np.array([0.5]), 5) == pytest.approx([1 + 2 / 3])
    assert overlap_of_folds(np.array([0.5]), 10) == pytest.approx([1 + 7 / 8])
    assert overlap_of_folds(np.array([1.0, 0.0]), 5) == pytest.approx([1.0, 1.0])


def test_offsets_between_folds_change_nothing():
    rng = np.random.default_rng(6)
    labels, folds = (rng.random(90) < 0.4).astype(float), np.arange(90) % 3
    scores = labels + rng.normal(size=90)
    (plain,) = influences(scores[None], labels, np.arange(90), 90, folds)
    (shifted,) = influences((scores + 7.0 * folds)[None], labels, np.arange(90), 90, folds)
    assert plain.value == shifted.value
    np.testing.assert_allclose(plain.parts, shifted.parts)


def test_a_fold_with_one_positive_patient_still_adds_to_the_error():
    """Around itself a single patient has no spread; around the mean of all folds it has."""
    labels, folds = np.array([1, 0, 0, 0, 1, 1, 0, 0.0]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.0, 1.0, 2.0, 3.0, 5.0, 4.0, 1.0, 0.0])  # all wrong, all right
    (found,) = influences(scores[None], labels, np.arange(8), 8, folds)
    assert abs(found.parts[0, 0]) > 0.1


def test_a_share_of_units_has_the_variance_of_the_clustered_mean():
    hits, patients = np.array([1, 1, 0, 1, 0, 0, 1.0]), np.array([0, 0, 0, 1, 2, 2, 3])
    (found,) = mean_of_units(hits, patients, 5)
    deviations = np.array([2 - 3 * 4 / 7, 1 - 4 / 7, 0 - 2 * 4 / 7, 1 - 4 / 7]) / 7
    assert found.value == pytest.approx(4 / 7)
    assert covariance([found])[0, 0] == pytest.approx(4 / 3 * np.sum(deviations**2))


def test_the_error_of_average_precision_is_that_of_resampled_patients():
    films = simulate(np.random.default_rng(0), num_positive=60, num_negative=120)
    positive, patients = films.labels == 1, films.patients
    (found,) = average_precisions(films.scores, positive, patients, 180)
    rng, sampled = np.random.default_rng(1), []
    films_of = [np.flatnonzero(patients == patient) for patient in range(180)]
    for _ in range(400):
        chosen = np.r_[rng.integers(0, 60, 60), rng.integers(60, 180, 120)]
        rows = np.concatenate([films_of[patient] for patient in chosen])
        sampled.append(auprc(films.scores[0, rows], films.labels[rows]).value)
    assert np.sqrt(covariance([found])[0, 0]) == pytest.approx(np.std(sampled), rel=0.12)


def test_a_class_of_one_patient_has_no_variance():
    with pytest.raises(ValueError, match="two patients in each class"):
        obuchowski([3.0, 2.0, 1.0, 0.0], [1, 1, 0, 0], [0, 0, 1, 2])


def test_clustered_intervals_cover_and_plain_delong_does_not():
    """52 patients, 6.8 films per positive one: the sizes on which DeLong was found to cover 67-83 %."""
    rng = np.random.default_rng(1)
    truth, runs, critical = true_auroc(), 300, float(student.ppf(0.975, 25))
    covered = {"obuchowski": 0, "delong": 0}
    for _ in range(runs):
        films = simulate(rng, num_positive=26, num_negative=26)
        for name, found in (
            ("obuchowski", obuchowski(films.scores, films.labels, films.patients)),
            ("delong", delong(films.scores, films.labels)),
        ):
            value = float(found.aurocs[0])
            distance = abs(logit(value) - logit(truth)) * value * (1 - value)
            covered[name] += distance <= critical * found.standard_errors[0]
    assert covered["obuchowski"] / runs > 0.91  # 0.95 less three binomial standard errors
    assert covered["delong"] / runs < 0.85


def test_a_variance_that_few_patients_make_has_their_degrees_of_freedom():
    def with_contributions(row: np.ndarray) -> Influence:
        parts = np.zeros((4, len(row)))
        parts[0] = row
        return Influence(0.5, parts, len(row) - 1.0, 0.01)

    rng = np.random.default_rng(0)
    normal = rng.normal(size=4000)
    assert tail_degrees_of_freedom(with_contributions(normal)) == pytest.approx(4000, rel=0.1)
    few = np.r_[rng.normal(size=10) * 100.0, rng.normal(size=3990)]
    assert 3 < tail_degrees_of_freedom(with_contributions(few)) < 30
