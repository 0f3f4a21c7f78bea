"""The learning rate of every step."""

from typing import Literal

import pytest

from chex_jobs.training.schedule import LearningRateSchedule


def test_rates_are_plain_floats_so_that_nothing_of_torch_captures_them() -> None:
    schedule = LearningRateSchedule(1e-3, "Cosine", 0.1, 100)
    assert all(type(schedule.at(step)) is float for step in range(100))


def test_warm_up_rises_from_above_zero_to_the_peak() -> None:
    schedule = LearningRateSchedule(1.0, "Constant", 0.2, 20)
    assert [schedule.at(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


@pytest.mark.parametrize("course", ["Cosine", "Linear"])
def test_course_falls_from_the_peak_towards_zero_and_never_below(course: Literal["Cosine", "Linear"]) -> None:
    rates = [LearningRateSchedule(2.0, course, 0.0, 50).at(step) for step in range(50)]
    assert rates[0] == 2.0
    assert rates == sorted(rates, reverse=True)
    assert 0.0 < rates[-1] < 0.1


def test_cosine_is_half_the_peak_at_half_the_way() -> None:
    assert LearningRateSchedule(1.0, "Cosine", 0.0, 100).at(50) == pytest.approx(0.5)


@pytest.mark.parametrize("num_steps", [1, 2])
def test_shortest_runs_have_a_rate_above_zero(num_steps: int) -> None:
    schedule = LearningRateSchedule(1.0, "Linear", 1.0, num_steps)
    assert all(schedule.at(step) > 0 for step in range(num_steps))
