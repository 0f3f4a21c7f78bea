"""Scaling, calibration measures and operating points, mostly against truth that the test itself sets."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from chex_jobs.evaluation.statistics.calibration import (
    calibration_line,
    cross_fit_groups,
    cross_fitted_operating,
    expected_calibration_error,
    reliability_curve,
    squared_errors,
    threshold_at_specificity,
)
from chex_jobs.evaluation.statistics.platt_scaling import Scaling, fit_slope_and_intercept


def labelled(num: int, seed: int = 0):
    """Logits that are true log-odds, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-0.5, 2.0, size=num)
    return logits, (rng.random(num) < expit(logits)).astype(float)


def test_an_overconfident_model_gets_back_its_slope():
    logits, labels = labelled(20_000)
    assert fit_slope_and_intercept(3.0 * logits, labels).slope == pytest.approx(1 / 3, rel=0.05)


def test_one_scaling_after_another_is_one_scaling():
    first, second = Scaling(2.0, -1.0), Scaling(0.5, 3.0)
    np.testing.assert_allclose(
        first.then(second).apply(np.arange(3.0)), second.apply(first.apply(np.arange(3.0)))
    )


def test_a_shift_and_a_scale_are_undone_together():
    logits, labels = labelled(20_000)
    scaling = fit_slope_and_intercept(2.0 * logits + 5.0, labels)
    np.testing.assert_allclose(scaling.apply(2.0 * logits + 5.0), logits, atol=0.25)


def test_few_units_give_the_minimum_of_the_penalised_likelihood():
    logits, labels = labelled(12, seed=3)

    def loss(log_slope: float, intercept: float) -> float:
        fit = np.exp(log_slope) * logits + intercept
        penalty = log_slope**2 / 2 + (intercept / 3.0) ** 2 / 2
        return float(np.logaddexp(0, np.where(labels == 1, -fit, fit)).sum()) + penalty

    both = fit_slope_and_intercept(logits, labels)
    least = loss(np.log(both.slope), both.intercept)
    steps = [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)]
    assert all(loss(np.log(both.slope) + a, both.intercept + b) > least for a, b in steps)


def test_separable_labels_give_a_finite_slope():
    scaling = fit_slope_and_intercept([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    assert 1.0 < scaling.slope < 20.0


def test_one_class_moves_the_intercept_towards_it_and_stays_finite():
    scaling = fit_slope_and_intercept([0.0, 0.1, -0.1], [1, 1, 1])
    assert 0.5 < scaling.intercept < 9.0
    assert fit_slope_and_intercept([0.0], [np.nan]) == Scaling()


def test_scaling_never_changes_a_ranking():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=30)
    inverted = fit_slope_and_intercept(
        logits, (logits < 0).astype(float)
    )  # the worst case: a model the wrong way round
    assert inverted.slope > 0
    np.testing.assert_array_equal(np.argsort(inverted.apply(logits)), np.argsort(logits))


def test_a_calibrated_model_has_a_small_error_and_a_shifted_one_has_its_shift():
    logits, labels = labelled(20_000)
    assert expected_calibration_error(logits, labels == 1) < 0.015
    certain = np.full(100, logit(0.9))
    assert expected_calibration_error(certain, np.arange(100) < 60) == pytest.approx(0.3)


def test_calibration_line_agrees_with_scikit_learn_without_a_penalty():
    logits, labels = labelled(2000)
    line = calibration_line(1.7 * logits + 0.4, labels == 1)
    assert line is not None
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit((1.7 * logits + 0.4)[:, None], labels)
    assert line.slope == pytest.approx(reference.coef_[0, 0], rel=1e-4)
    shifted = calibration_line(logits - 0.8, labels == 1)
    assert shifted is not None
    assert shifted.intercept == pytest.approx(0.8, abs=0.15)
    assert expit(logits - 0.8 + shifted.intercept).mean() == pytest.approx(labels.mean(), abs=1e-9)


def test_no_calibration_line_for_separable_or_single_classes():
    assert calibration_line(np.array([-1.0, 1.0]), np.array([False, True])) is None
    assert calibration_line(np.array([1.0, -1.0]), np.array([False, True])) is None
    assert calibration_line(np.array([1.0, -1.0]), np.array([True, True])) is None


def test_the_mean_of_the_squared_errors_is_the_brier_score():
    logits, labels = labelled(40)
    assert squared_errors(logits, labels == 1).mean() == pytest.approx(
        brier_score_loss(labels, expit(logits))
    )


def test_bins_of_the_reliability_curve_hold_ten_patients_each_and_all_units():
    logits, labels = labelled(300)
    patients = np.arange(300) // 6  # 50 patients, so tenths of the units hold 5 to 10 patients
    bins = reliability_curve(logits, labels == 1, patients)
    assert sum(each.units for each in bins) == 300
    assert [each.mean_probability for each in bins] == sorted(each.mean_probability for each in bins)
    few = reliability_curve(logits[:40], labels[:40] == 1, np.arange(40) // 4)
    assert len(few) <= 1


def test_the_threshold_keeps_the_wanted_share_of_negatives_below_it():
    negatives = np.arange(10.0)
    logits, positive = np.append(negatives, [5.5, 20.0]), np.append(np.zeros(10, bool), [True, True])
    threshold = threshold_at_specificity(logits, positive, 0.9)
    assert threshold is not None
    assert (negatives < threshold).mean() == 0.9
    assert threshold == 8.5  # halfway to the next score
    everything = threshold_at_specificity(negatives, np.arange(10) == 0, 1.0)
    assert everything is not None
    assert (negatives < everything).all()
    assert threshold_at_specificity(negatives, np.zeros(10, bool), 0.9) is None


def test_cross_fitting_never_parts_the_films_of_a_patient_and_spreads_the_positives():
    patients = np.repeat(np.arange(40), 3)
    positive = patients < 10
    groups = cross_fit_groups(patients, positive, 0)
    assert all(len(set(groups[patients == p])) == 1 for p in range(40))
    assert [len(set(patients[(groups == g) & positive])) for g in range(5)] == [2] * 5


def test_a_cross_fitted_operating_point_does_not_flatter_a_useless_model():
    """A threshold chosen on the same few patients would reach its specificity exactly, whatever the scores."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        logits, positive = rng.normal(size=40), np.arange(40) < 20
        checked = cross_fitted_operating(logits, positive, np.arange(40), 0.9, 0)
        assert checked is not None
        found.append((checked.sensitivity, checked.specificity))
    sensitivity, specificity = np.mean(found, axis=0)
    assert specificity == pytest.approx(1 - sensitivity, abs=0.04)  # useless: flags both classes alike


def test_a_cross_fitted_operating_point_of_many_patients_is_the_true_one():
    rng = np.random.default_rng(0)
    positive = np.arange(4000) < 2000
    logits = rng.normal(size=4000) + 2.0 * positive
    checked = cross_fitted_operating(logits, positive, np.arange(4000), 0.9, 0)
    assert checked is not None
    assert checked.specificity == pytest.approx(0.9, abs=0.02)
    assert checked.sensitivity == pytest.approx(norm.sf(norm.ppf(0.9) - 2.0), abs=0.03)


def test_cross_fitting_gives_nothing_where_a_fifth_holds_all_positives():
    assert cross_fitted_operating(np.arange(10.0), np.arange(10) == 0, np.arange(10), 0.9, 0) is None
