import pytest

from chex_jobs.artifacts.retry import Backoff, call_with_retries


class Busy(Exception):
    pass


class Scripted:
    """Raises what it is given, in turn, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def is_busy(error: Exception) -> bool:
    return isinstance(error, Busy)


def test_the_bound_of_the_pause_doubles_up_to_the_longest() -> None:
    backoff = Backoff(first_pause_seconds=0.5, longest_pause_seconds=3.0)
    bounds = [backoff.pause(failures, uniform=lambda low, high: high) for failures in (1, 2, 3, 4, 5)]
    assert bounds == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_jitter_is_full_it_goes_down_to_no_pause() -> None:
    assert Backoff().pause(5, uniform=lambda low, high: low) == 0.0


def test_a_call_that_recovers_returns_after_one_pause_for_each_failure() -> None:
    pauses: list[float] = []
    assert call_with_retries(Scripted(Busy(), Busy()), is_busy, sleep=pauses.append) == "done"
    assert len(pauses) == 2


def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    pauses: list[float] = []
    with pytest.raises(Busy, match="third"):
        call_with_retries(
            Scripted(Busy("1"), Busy("2"), Busy("third")), is_busy, Backoff(attempts=3), pauses.append
        )
    assert len(pauses) == 2


def test_another_error_is_not_tried_again() -> None:
    with pytest.raises(KeyError):
        call_with_retries(Scripted(KeyError()), is_busy, sleep=lambda seconds: pytest.fail("it waited"))
