"""Score intervals near 1: against closed forms where they exist, and their behaviour where errors are few."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest, norm
from scipy.stats import t as student

from chex_jobs.evaluation.statistics.intervals import (
    Uncertain,
    difference_interval,
    score_interval,
    share_interval,
)

Z = float(norm.ppf(0.975))


def share(hits: int, number: int) -> Uncertain:
    """Of independent units: variance and expectation agree, so that the prior changes nothing."""
    value = hits / number
    return Uncertain(value, value * (1 - value) / number, 1 / number, 1.0)


@pytest.mark.parametrize(("hits", "number"), [(20, 20), (19, 20), (47, 50), (250, 500), (0, 30)])
def test_of_independent_units_it_is_wilsons_interval(hits, number):
    expected = binomtest(hits, number).proportion_ci(0.95, method="wilson")
    assert score_interval(share(hits, number), Z) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("hits", "number"), [(20, 20), (49, 50), (250, 500), (0, 30)])
def test_a_share_goes_halfway_to_jeffreys_where_that_is_wider(hits, number):
    low, high = score_interval(share(hits, number), Z)
    of_jeffreys = beta(hits + 0.5, number - hits + 0.5)
    expected = min(low, (low + of_jeffreys.ppf(0.025)) / 2), max(high, (high + of_jeffreys.ppf(0.975)) / 2)
    assert share_interval(share(hits, number), Z, 0.95) == pytest.approx(expected)


@pytest.mark.parametrize("number", [20, 50, 100, 200, 500])
@pytest.mark.parametrize("truth", [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99])
def test_a_share_of_single_units_is_covered_as_often_as_its_steps_allow(number, truth):
    """Exactly, over the binomial distribution: at least 93 %, and not a step more than it takes."""
    critical = float(student.ppf(0.975, number - 1))
    hits = np.arange(number + 1)
    chance = binom.pmf(hits, number, truth)
    bounds = [share_interval(share(int(each), number), critical, 0.95) for each in hits]
    within = np.array([low <= truth <= high for low, high in bounds])
    assert chance[within].sum() >= 0.93
    smallest_step = chance[within].min()
    assert chance[within].sum() <= 0.98 or chance[within].sum() - smallest_step < 0.93 or truth == 0.99


def test_without_errors_the_number_of_patients_decides():
    few, many = (score_interval(Uncertain(1.0, 0.0, 1 / n, 1.0), Z) for n in (20, 200))
    assert few == pytest.approx((20 / (20 + Z**2), 1.0))
    assert many == pytest.approx((200 / (200 + Z**2), 1.0))


def test_with_many_errors_the_variance_decides():
    for weight in (0.5, 1.0):
        found = Uncertain(0.8, 0.16 / 300, 1 / 500, weight)
        assert found.effective_number == pytest.approx(300, rel=0.02)


def test_a_difference_of_uncorrelated_shares_is_newcombes():
    """Newcombe 1998, method 10, first row of his table II: 56/70 - 48/80."""
    found = difference_interval(share(56, 70), share(48, 80), 0.0, Z)
    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_correlation_narrows_a_difference():
    first, second = share(80, 100), share(70, 100)
    apart = difference_interval(first, second, 0.0, Z)
    paired = difference_interval(first, second, 0.8 * np.sqrt(first.variance * second.variance), Z)
    assert apart[0] < paired[0] < 0.1 < paired[1] < apart[1]


values = st.floats(0.0, 1.0)


@given(values, values, st.floats(0.0, 0.3), st.floats(0.0, 0.3), st.floats(-1, 1), st.floats(0.5, 60.0))
def test_bounds_contain_the_estimate_and_stay_in_range(first, second, one, two, correlation, critical):
    measures = Uncertain(first, one, 0.02, 1.0), Uncertain(second, two, 0.05, 1.0)
    for each in measures:
        low, high = score_interval(each, critical)
        assert 0.0 <= low <= each.value <= high <= 1.0
    low, high = difference_interval(*measures, correlation * np.sqrt(one * two), critical)
    assert -1.0 - 1e-12 <= low <= first - second <= high <= 1.0 + 1e-12
