import logging

import pytest

from chex_jobs.artifacts.errors import InvalidLocation
from chex_jobs.artifacts.retry import PATIENCE_VARIABLE, Backoff, Clock, call_with_retries


class Busy(Exception):
    pass


class Time:
    """A clock whose pauses take no time."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.pauses: list[float] = []

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds


class Away:
    """Fails until so many seconds have passed; each try takes one."""

    def __init__(self, time: Time, seconds: float) -> None:
        self._time, self._back_at = time, time.seconds + seconds
        self.tries = 0

    def __call__(self) -> str:
        self.tries += 1
        self._time.seconds += 1.0
        if self._time.seconds < self._back_at:
            raise Busy(f"try {self.tries}")
        return "done"


def is_busy(error: Exception) -> bool:
    return isinstance(error, Busy)


def test_the_bound_of_the_pause_doubles_up_to_the_longest() -> None:
    backoff = Backoff(first_pause_seconds=0.5, longest_pause_seconds=3.0)
    bounds = [backoff.pause(failures, uniform=lambda low, high: high) for failures in (1, 2, 3, 4, 5, 5000)]
    assert bounds == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_jitter_is_full_it_goes_down_to_no_pause() -> None:
    assert Backoff().pause(5, uniform=lambda low, high: low) == 0.0


def test_an_outage_of_ten_minutes_is_sat_out_and_told_every_half_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time = Time()
    with caplog.at_level(logging.WARNING):
        assert call_with_retries(Away(time, 600.0), is_busy, "read s3://b/a", clock=time.clock) == "done"
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "cannot read s3://b/a (try 1); trying again for up to 899 s more"
    assert told[-1].startswith("read s3://b/a: done, after 6")
    assert 10 <= len(told) <= 22
    assert max(time.pauses) <= 20.0


def test_an_outage_without_end_is_raised_once_patience_is_used_up_and_never_waited_past_it() -> None:
    time = Time()
    away = Away(time, 1e9)
    with pytest.raises(Busy) as last:
        call_with_retries(away, is_busy, "read a", clock=time.clock)
    assert str(last.value) == f"try {away.tries}"
    assert 100.0 + 870.0 < time.seconds <= 100.0 + 901.0


def test_another_error_is_raised_at_once() -> None:
    def fail() -> str:
        raise KeyError("a")

    time = Time()
    with pytest.raises(KeyError):
        call_with_retries(fail, is_busy, "read a", clock=time.clock)
    assert time.pauses == []


def test_without_patience_every_failure_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "0")
    time = Time()
    with pytest.raises(Busy, match="try 1"):
        call_with_retries(Away(time, 5.0), is_busy, "read a", Backoff.of_environment(), time.clock)


@pytest.mark.parametrize("told", ["soon", "-1", "1e9", "nan", "inf"])
def test_patience_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, told)
    with pytest.raises(InvalidLocation, match=PATIENCE_VARIABLE):
        Backoff.of_environment()
