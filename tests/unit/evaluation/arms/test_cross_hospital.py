"""Fold models together on patients that none of them saw."""

import numpy as np
import pytest

from chex_jobs.evaluation.arms.cross_hospital import score_of
from chex_jobs.evaluation.arms.deployed_score import DeployedScore, deployed_score
from chex_jobs.evaluation.statistics.predictions import (
    FitLogits,
    PredictionsError,
    TestPredictions,
    UnitTable,
)
from tests.unit.evaluation.statistics.test_folds import ARM, fold_predictions


def elsewhere(rows: np.ndarray) -> tuple[DeployedScore, TestPredictions, np.ndarray]:
    validation, home, _, _ = fold_predictions()
    units = UnitTable(np.arange(5), np.arange(5), np.array([[0.0], [1.0], [0.0], [1.0], [np.nan]]))
    said = np.random.default_rng(1).normal(size=(len(home.fits), len(rows), 1))
    fits = tuple(FitLogits(each.fit, rows, logits) for each, logits in zip(home.fits, said, strict=True))
    score = deployed_score([each.fit for each in home.fits], validation, home)
    return score, TestPredictions(("icu",), units, fits), said


def test_the_deployed_model_is_the_mean_of_each_members_own_scaled_logits():
    score, test, said = elsewhere(np.arange(5))
    scaled = [member.scalings[0].apply(logits) for member, logits in zip(score.members, said, strict=True)]
    assert len({member.scalings[0] for member in score.members}) == 4
    np.testing.assert_allclose(score.whole(test, [0]), np.mean(scaled, axis=0))


def test_the_model_that_the_results_describe_says_the_same():
    score, test, _ = elsewhere(np.arange(5))
    objects = {each.fit: f"{number:064x}" for number, each in enumerate(test.fits)}
    described = score_of(ARM, score.described(objects, ("icu",)))
    np.testing.assert_array_equal(described.whole(test, [0]), score.whole(test, [0]))


def test_a_model_that_skips_units_elsewhere_is_refused():
    score, test, _ = elsewhere(np.arange(4))
    with pytest.raises(PredictionsError, match="ssl/probe@1: predicts 4 of 5 units elsewhere"):
        score.whole(test, [0])
