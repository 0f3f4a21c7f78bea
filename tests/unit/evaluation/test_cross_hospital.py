"""Fold models together on patients that none of them saw."""

import numpy as np
import pytest

from chex_jobs.evaluation.cross_hospital import ensemble_scores
from chex_jobs.evaluation.folds import scalings
from chex_jobs.evaluation.predictions import FitLogits, PredictionsError, TestPredictions, UnitTable
from tests.unit.evaluation.test_folds import ARM, fold_predictions


def elsewhere(rows: np.ndarray) -> tuple:
    validation, home, _, _ = fold_predictions()
    units = UnitTable(np.arange(5), np.arange(5), np.array([[0.0], [1.0], [0.0], [1.0], [np.nan]]))
    said = np.random.default_rng(1).normal(size=(len(home.fits), len(rows), 1))
    fits = tuple(FitLogits(each.fit, rows, logits) for each, logits in zip(home.fits, said, strict=True))
    return validation, TestPredictions(("icu",), units, fits), said


def test_the_ensemble_is_the_mean_of_each_models_own_scaled_logits():
    validation, test, said = elsewhere(np.arange(5))
    scaled = []
    for each, logits in zip(test.fits, said, strict=True):
        (scaling,) = scalings(validation, each.fit)
        assert scaling is not None
        scaled.append(scaling.apply(logits))
    found = ensemble_scores(ARM, validation, test)
    np.testing.assert_allclose(found.logits, np.mean(scaled, axis=0)[None])


def test_a_model_that_skips_units_elsewhere_is_refused():
    validation, test, _ = elsewhere(np.arange(4))
    with pytest.raises(PredictionsError, match="ssl/probe@1: predicts 4 of 5 units elsewhere"):
        ensemble_scores(ARM, validation, test)
