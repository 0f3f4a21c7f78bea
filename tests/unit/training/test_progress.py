"""Progress: how often, and what it says."""

import json

import pytest

from chex_jobs.training.progress import ProgressMeter


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def report(meter: ProgressMeter, step: int):
    return meter.report(step=step, epoch=0, epochs=2, loss=0.5, learning_rate=1e-3, metrics={"top1": 0.25})


def test_reports_come_at_most_once_per_interval_and_at_the_end() -> None:
    clock = Clock()
    meter = ProgressMeter(total_steps=10, films_per_step=32, first_step=0, interval_seconds=1.0, clock=clock)
    due = []
    for step in range(1, 11):
        clock.now += 0.4
        due.append(meter.due(step))
        if due[-1]:
            report(meter, step)
    assert due == [False, False, True, False, False, True, False, False, True, True]


def test_rate_wait_share_and_eta_are_those_since_the_last_report() -> None:
    clock = Clock()
    meter = ProgressMeter(total_steps=100, films_per_step=32, first_step=20, clock=clock)
    meter.waited(0.5)
    clock.now = 2.0
    progress = report(meter, 30)
    assert progress.films_per_second == pytest.approx(160.0)
    assert progress.wait_share == pytest.approx(0.25)
    assert progress.eta_seconds == pytest.approx(14.0)


def test_a_report_is_one_line_of_json() -> None:
    clock = Clock()
    meter = ProgressMeter(total_steps=4, films_per_step=2, first_step=0, clock=clock)
    clock.now = 1.0
    line = report(meter, 1).as_json()
    assert "\n" not in line
    assert json.loads(line)["metrics"] == {"top1": 0.25}
