"""What the statistics promise, on simulated patients: a short run of the benchmarks behind docs/statistics.md."""

import numpy as np
import pytest
from scipy.stats import norm

from chex_jobs.evaluation.statistics.clustered import influences, mean_of_units
from chex_jobs.evaluation.statistics.estimates import auroc_estimate, share_estimate
from tests.benchmarks.false_recommendation import Cell, false_rate
from tests.benchmarks.interval_coverage import GIVEN, Tally, films_of, small_hospital

RUNS = 300
LEAST = 0.93 - 3 * np.sqrt(0.95 * 0.05 / RUNS)
"""What is promised less three standard errors."""


def covered(tally: Tally) -> float:
    return tally.covered / RUNS


@pytest.mark.parametrize("films", [1.0, 6.8])
@pytest.mark.parametrize("truth", [0.9, 0.99])
def test_a_sensitivity_next_to_one_is_covered(truth, films):
    rng, tally = np.random.default_rng(0), Tally()
    for _ in range(RUNS):
        found = films_of(rng, (20, 2, films, 1.0), 0.5)  # scores of positives are standard normal
        chosen = found.labels == 1
        hits = (found.scores[0, chosen] < norm.ppf(truth)).astype(float)
        (item,) = mean_of_units(hits, found.patients[chosen], 22)
        tally.add(share_estimate(item, 0.95), truth)
    assert covered(tally) > LEAST


@pytest.mark.parametrize("area", [0.75, 0.98])
def test_an_auroc_of_twenty_positive_patients_is_covered(area):
    rng, tally = np.random.default_rng(0), Tally()
    for _ in range(RUNS):
        found = films_of(rng, (20, 80, 6.8, 1.3), area)
        (item,) = influences(found.scores, found.labels, found.patients, 100)
        tally.add(auroc_estimate(item, GIVEN, 0.95), area)
    assert covered(tally) > LEAST
    assert tally.above <= 0.05 * RUNS  # not on the optimistic side


@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_the_auroc_of_folds_is_covered_and_not_biased(shift):
    rng, tally, off, told = np.random.default_rng(0), Tally(), [], []
    for _ in range(RUNS):
        truth, found, _ = small_hospital(rng, 20, 60, 5, shift)
        tally.add(found, truth)
        off.append((found.value or 0.0) - truth)
        told.append(found.value)
    assert covered(tally) > LEAST
    assert abs(np.mean(off)) < 3 * np.std(told) / np.sqrt(RUNS)


@pytest.mark.parametrize(
    "cell",
    [
        Cell(0.999, 0.02, 20, 4, 1, 1.0, 1, 0.6),
        Cell(0.999, 0.01, 20, 1, 1, 1.0, 1, 0.9),
        Cell(0.98, 0.05, 20, 8, 5, 3.0, 3, 0.6),
        Cell(0.90, 0.05, 20, 4, 1, 1.0, 2, 0.6),
    ],
)
def test_an_arm_that_is_worse_by_the_margin_is_not_recommended(cell):
    """At a rate of 5 % more than nine of a hundred are less likely than one in thirty."""
    assert false_rate(cell, 100, (0,)) <= 0.09
