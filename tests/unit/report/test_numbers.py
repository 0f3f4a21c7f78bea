"""Numbers as people read them."""

import pytest

from chex_jobs.evaluation.results.schema import Estimate, Interval
from chex_jobs.report import numbers


def _estimate(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(value, Interval(lower, upper, 0.95, "clustered-score"))


def test_a_number_that_is_not_there_is_a_dash_and_never_a_zero() -> None:
    assert (
        numbers.three_digits(None)
        == numbers.estimate(Estimate(None))
        == numbers.signed(None)
        == numbers.duration(None)
        == "–"
    )
    assert numbers.three_digits(0.0) == "0.000"


def test_an_estimate_has_its_interval_in_brackets_or_no_brackets() -> None:
    assert numbers.estimate(_estimate(0.8734, 0.8206, 0.9124)) == "0.873 (0.821–0.912)"
    assert numbers.estimate(Estimate(0.8734)) == "0.873"


def test_differences_have_signs_and_no_dash_between_them() -> None:
    assert numbers.signed_estimate(_estimate(0.031, -0.0104, 0.0724)) == "+0.031 (−0.010 to +0.072)"
    assert numbers.signed(-0.0001) == numbers.signed(0.0001) == "0.000"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (1000, "1 k"), (12345, "12.3 k"), (999_999, "1000 k"), (4_560_000, "4.56 M")],
)
def test_large_counts_have_three_digits_and_a_prefix(value: float, text: str) -> None:
    assert numbers.short_count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "< 1 s"), (48, "48 s"), (720, "12 min"), (12_240, "3.4 h")]
)
def test_durations_have_the_unit_that_people_would_use(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_the_ticks_of_an_axis_have_equally_many_decimals() -> None:
    assert numbers.tick_texts([0.8, 0.85, 0.9]) == ["0.80", "0.85", "0.90"]
    assert numbers.tick_texts([-1, 0, 1]) == ["−1", "0", "1"]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.713, 0.862), (-0.2, 0.01), (3.0, 40_000.0)])
def test_ticks_lie_inside_the_axis_and_are_neither_few_nor_many(low: float, high: float) -> None:
    ticks = numbers.nice_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert low - 1e-9 <= ticks[0] < ticks[-1] <= high + 1e-9


@pytest.mark.parametrize(("low", "high"), [(110.0, 280.0), (375.0, 777_600.0), (0.6, 1.6)])
def test_ticks_of_a_logarithmic_axis_lie_inside_it(low: float, high: float) -> None:
    ticks = numbers.log_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)
