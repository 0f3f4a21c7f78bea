"""Where in its range a chosen value lies."""

import pytest

from chex_api.sweep import LogUniform, SpaceEntry, Uniform
from chex_jobs.sweep.space import Space, edge_of_numbers


def told(entry: SpaceEntry, value: float) -> list[str]:
    return [str(edge) for edge in Space.of([entry]).at_edge(((entry.parameter, value),))]


RATES = SpaceEntry(parameter="learningRate", log_uniform=LogUniform(min=1e-5, max=1e-3))


@pytest.mark.parametrize(
    ("value", "end"), [(1e-5, "smallest"), (1.5e-5, "smallest"), (7e-4, "largest"), (1e-3, "largest")]
)
def test_a_value_close_to_an_end_of_its_range_is_told_with_the_end(value: float, end: str) -> None:
    (sentence,) = told(RATES, value)
    assert f"the {end} that was tried" in sentence
    assert sentence.startswith(f"the best learningRate, {value:.3g}, is ")


@pytest.mark.parametrize("value", [2e-5, 1e-4, 5e-4])
def test_a_value_inside_its_range_is_not_told(value: float) -> None:
    assert told(RATES, value) == []


def test_the_ends_of_a_linear_range_are_measured_linearly() -> None:
    entry = SpaceEntry(parameter="weightDecay", uniform=Uniform(min=0.1, max=1.1))
    assert len(told(entry, 0.15)) == 1
    assert told(entry, 0.3) == []


def test_the_first_and_the_last_of_some_numbers_are_told_in_whatever_order_they_stand() -> None:
    entry = SpaceEntry(parameter="weightDecay", numbers=(0.05, 0.01, 0.1))
    assert [len(told(entry, value)) for value in (0.01, 0.05, 0.1)] == [1, 0, 1]


def test_where_the_field_itself_ends_no_wider_range_is_asked_for() -> None:
    assert told(SpaceEntry(parameter="weightDecay", numbers=(0.0, 0.01, 0.1)), 0.0) == []
    assert told(SpaceEntry(parameter="warmupFraction", uniform=Uniform(min=0.0, max=1.0)), 1.0) == []


def test_a_parameter_with_one_number_was_not_searched() -> None:
    assert told(SpaceEntry(parameter="weightDecay", numbers=(0.01,)), 0.01) == []


def test_of_two_rates_one_is_always_the_largest_so_three_are_needed_to_say_so() -> None:
    assert edge_of_numbers("rate", 3.0, (1.0, 3.0), (0.0, 9.0)) == ()
    assert len(edge_of_numbers("rate", 3.0, (1.0, 2.0, 3.0), (0.0, 9.0))) == 1
