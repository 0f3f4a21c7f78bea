"""Obuchowski's covariance against its printed formula, DeLong's as a special case, and coverage in simulations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from chex_jobs.evaluation.clustered import (
    covariance,
    delong,
    influences,
    logit_interval,
    mean_influence,
    obuchowski,
)
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
    assert few.degrees_of_freedom == 5
    assert (few - many).degrees_of_freedom == mean_influence([many, few]).degrees_of_freedom == 5


def test_a_class_of_one_patient_has_no_variance():
    with pytest.raises(ValueError, match="two patients in each class"):
        obuchowski([3.0, 2.0, 1.0, 0.0], [1, 1, 0, 0], [0, 0, 1, 2])


def test_logit_intervals_stay_within_zero_and_one_and_contain_the_value():
    lower, upper = logit_interval(0.99, 0.02, 1.96)
    assert 0.0 < lower < 0.99 < upper < 1.0
    assert logit_interval(1.0, 0.0, 1.96) == (1.0, 1.0)


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
            lower, upper = logit_interval(float(found.aurocs[0]), float(found.standard_errors[0]), critical)
            covered[name] += lower <= truth <= upper
    assert covered["obuchowski"] / runs > 0.91  # 0.95 less three binomial standard errors
    assert covered["delong"] / runs < 0.85
