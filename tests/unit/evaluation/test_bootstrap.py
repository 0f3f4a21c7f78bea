"""The patient bootstrap: what it resamples, what it keeps, and that it agrees with the covariance where both exist."""

import numpy as np
import pytest

from chex_jobs.evaluation.bootstrap import (
    Resamples,
    patient_multiplicities,
    patient_strata,
    percentile_interval,
    replicate_weights,
)
from chex_jobs.evaluation.clustered import obuchowski
from chex_jobs.evaluation.discrimination import auroc, weighted_average_precision
from tests.unit.evaluation.clustered_films import simulate


def weighted_auroc(scores, positive, weights):
    """Plain but weighted: the reference for a bootstrap of the AUROC."""
    wins = (scores[positive][:, None] > scores[~positive]) + 0.5 * (
        scores[positive][:, None] == scores[~positive]
    )
    above, below = weights[positive], weights[~positive]
    return ((wins @ below) * above).sum(axis=0) / (above.sum(axis=0) * below.sum(axis=0))


def test_every_resample_keeps_the_number_of_patients_of_each_kind():
    patients = np.array([0, 0, 1, 2, 2, 3, 5])
    positive = np.array([True, False, True, False, False, False, True])
    strata = patient_strata(patients, positive, 6)
    assert strata.tolist() == [3, 2, 1, 1, 0, 2]
    counts = patient_multiplicities(strata, 200, np.random.default_rng(0))
    for stratum in range(4):
        assert (counts[strata == stratum].sum(axis=0) == (strata == stratum).sum()).all()


def test_weights_of_final_fits_sum_to_one_and_are_resampled_by_draw_first():
    draws = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    weights = replicate_weights(draws, 4000, np.random.default_rng(0))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights.mean(axis=0), 1 / 9, atol=0.01)
    of_draw = np.stack([weights[:, draws == draw].sum(axis=1) for draw in range(3)], axis=1)
    assert set(np.unique((of_draw * 3).round(9))) == {0.0, 1.0, 2.0, 3.0}  # whole draws are chosen
    # Each draw's share is a third of a binomial count of three: variance 3 x 1/3 x 2/3 / 9.
    np.testing.assert_allclose(of_draw.var(axis=0), 2 / 27, rtol=0.1)


def test_equal_seeds_give_equal_resamples():
    patients, positive = np.arange(30), np.arange(30) < 10
    first, second, other = (
        Resamples.make(patients, positive, 30, seed=(s,), num_resamples=20) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.multiplicities, second.multiplicities)
    assert (first.multiplicities != other.multiplicities).any()


def test_working_in_chunks_changes_nothing(monkeypatch):
    films = simulate(np.random.default_rng(0), num_positive=20, num_negative=30)
    positive = films.labels == 1
    resamples = Resamples.make(films.patients, positive, 50, seed=(0,), num_resamples=50)
    whole = resamples.measure(weighted_average_precision, films.scores[0], positive, films.patients)
    monkeypatch.setattr("chex_jobs.evaluation.bootstrap.CHUNK_ELEMENTS", 7 * len(positive))
    in_parts = resamples.measure(weighted_average_precision, films.scores[0], positive, films.patients)
    np.testing.assert_allclose(whole, in_parts, rtol=1e-14)  # sums of a matrix may be ordered by its shape


def test_bootstrap_and_obuchowski_agree_on_the_standard_error_of_an_auroc():
    films = simulate(np.random.default_rng(0), num_positive=60, num_negative=120)
    positive = films.labels == 1
    samples = Resamples.make(films.patients, positive, 180, seed=(0,)).measure(
        weighted_auroc, films.scores[0], positive, films.patients
    )
    found = obuchowski(films.scores[0], films.labels, films.patients)
    assert samples.mean() == pytest.approx(auroc(films.scores[0], films.labels).value, abs=0.005)
    assert samples.std(ddof=1) == pytest.approx(found.standard_errors[0], rel=0.1)


def test_seeds_that_differ_widen_the_nested_bootstrap():
    rng = np.random.default_rng(0)
    films = simulate(rng, num_positive=60, num_negative=120)
    positive, draws = films.labels == 1, np.array([0, 0, 0])
    resamples = Resamples.make(films.patients, positive, 180, seed=(0,))
    same = np.repeat(films.scores, 3, axis=0)
    different = same + np.array([0.0, 2.0, 6.0])[:, None] * rng.normal(size=same.shape)

    def spread(scores):
        return resamples.nested(
            weighted_average_precision, scores, positive, films.patients, draws, seed=(1,)
        ).std()

    alone = resamples.measure(weighted_average_precision, films.scores[0], positive, films.patients).std()
    assert spread(same) == pytest.approx(alone, rel=1e-9)
    assert spread(different) > 1.3 * alone


def test_percentile_interval_holds_the_middle_share():
    lower, upper = percentile_interval(np.arange(1001.0), 0.9)
    assert (lower, upper) == pytest.approx((50.0, 950.0))
