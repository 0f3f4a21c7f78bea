"""Pooling out-of-fold scores."""

import numpy as np
import pytest
from scipy.special import expit

from chex_jobs.evaluation.arms.arm_statistics import TaskData, arm_measures
from chex_jobs.evaluation.results.schema import ArmKey
from chex_jobs.evaluation.statistics.discrimination import auroc
from chex_jobs.evaluation.statistics.folds import ArmScores, arm_scores, scalings
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    FitLogits,
    PredictionsError,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)

ARM = ArmKey("ssl", "probe", 1.0)


def fold_predictions(num_units: int = 400, offsets: tuple[float, ...] = (-4.0, 0.0, 4.0, 8.0)):
    """Four fold models of equal skill whose logits have different offsets and scales."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=num_units) * 1.5
    labels = (rng.random(num_units) < expit(truth)).astype(float)
    fold_of = np.arange(num_units) % len(offsets)
    units = UnitTable(np.arange(num_units), np.arange(num_units), labels[:, None])

    def of_fold(fold: int, rows: np.ndarray) -> FitLogits:
        return FitLogits(FitKey(ARM, 0, 0, fold), rows, ((fold + 1) * truth[rows] + offsets[fold])[:, None])

    test = [of_fold(fold, np.flatnonzero(fold_of == fold)) for fold in range(len(offsets))]
    validation = [
        of_fold(fold, np.flatnonzero(fold_of == (fold + 1) % len(offsets))) for fold in range(len(offsets))
    ]
    return (
        ValidationPredictions(("icu",), units, tuple(validation)),
        TestPredictions(("icu",), units, tuple(test)),
        truth,
        labels,
    )


def test_pooling_without_common_language_would_spoil_the_auroc_and_scaling_restores_it():
    validation, test, truth, labels = fold_predictions()
    raw = np.empty(len(labels))
    for each in test.fits:
        raw[each.rows] = each.logits[:, 0]
    pooled = arm_scores(ARM, validation, test)
    one_model = auroc(truth, labels).value or 0
    assert (auroc(raw, labels).value or 1) < one_model - 0.1
    assert auroc(pooled.logits[0, :, 0], labels).value == pytest.approx(one_model, abs=0.03)


def test_ranking_within_a_fold_is_untouched():
    validation, test, _, _ = fold_predictions()
    pooled = arm_scores(ARM, validation, test).logits[0, :, 0]
    for each in test.fits:
        np.testing.assert_array_equal(np.argsort(pooled[each.rows]), np.argsort(each.logits[:, 0]))


def test_units_without_a_prediction_and_units_with_two_are_counted_in_the_error():
    validation, test, _, _ = fold_predictions()
    missing = TestPredictions(test.tasks, test.units, test.fits[1:])
    with pytest.raises(
        PredictionsError, match=r"ssl/probe@1 draw 0 seed 0: 100 test units have no prediction and 0"
    ):
        arm_scores(ARM, validation, missing)


def test_scalings_refuse_test_predictions():
    _, test, _, _ = fold_predictions()
    with pytest.raises(TypeError, match="validation predictions only"):
        scalings(test, test.fits[0].fit)  # pyright: ignore[reportArgumentType]


def test_predictions_that_are_not_finite_name_the_fit():
    units = UnitTable(np.arange(2), np.arange(2), np.zeros((2, 1)))
    bad = FitLogits(FitKey(ARM, 1, 2, -1), np.arange(2), np.array([[0.0], [np.nan]]))
    with pytest.raises(PredictionsError, match="ssl/probe@1 draw 1 seed 2: logits are not finite"):
        TestPredictions(("icu",), units, (bad,))


def test_a_fit_that_predicts_twice_is_refused():
    units = UnitTable(np.arange(1), np.arange(1), np.zeros((1, 1)))
    each = FitLogits(FitKey(ARM, 0, 0, -1), np.arange(1), np.zeros((1, 1)))
    with pytest.raises(PredictionsError, match="two sets of predictions"):
        TestPredictions(("icu",), units, (each, each))


def classes_apart(paired: int) -> tuple[TaskData, ArmScores]:
    """Thirty positives in fold 0 and forty negatives in fold 1, with so many of the positives moved to fold 1."""
    labels = np.repeat([1.0, 0.0], [30, 40])
    folds = np.where(np.arange(70) < 30 - paired, 0, 1)
    table = UnitTable(np.arange(70), np.arange(70), labels[:, None])
    logits = np.random.default_rng(0).normal(size=(2, 70, 1))
    scores = ArmScores(ARM, np.zeros(2, np.int64), np.arange(2), logits)
    return TaskData("icu", 0, table, folds), scores


@pytest.mark.parametrize("paired", [1, 2, 12, 19])
def test_patients_whose_fold_lacks_the_other_class_support_no_interval(paired: int):
    """They are in no pair: an AUROC of one positive patient has no variance, whoever else is positive elsewhere."""
    data, scores = classes_apart(paired)
    measured = arm_measures(data, scores)
    assert "Insufficient data" in data.insufficient
    assert measured.auroc is None
    assert measured.fits[0].auroc is not None


def test_twenty_patients_of_each_class_in_folds_that_have_both_are_enough():
    data, scores = classes_apart(20)
    assert data.insufficient == ""
    assert arm_measures(data, scores).auroc is not None
