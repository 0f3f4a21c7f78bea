"""The one line that people read of a job."""

import pytest

from chex_api.stage import StageProgress
from chex_api.status import StageStatus
from chex_operator.rules.summary import overall, rounded, running_line

HOUR = 3600.0


def stage(name: str, state: str = "Waiting", percent: int = 0) -> StageStatus:
    done = 100 if state == "Finished" else percent
    return StageStatus(name=name, state=state, progress_percent=done)  # pyright: ignore[reportArgumentType]


PREFLIGHT = stage("preflight", "Finished")


def eta(*stages: StageStatus, reported: dict[str, float] | None = None, active: float = HOUR) -> str:
    progress = {
        name: StageProgress(done=1, total=2, eta_seconds=left) for name, left in (reported or {}).items()
    }
    everything = [PREFLIGHT, *stages]
    return running_line(everything, everything, progress, active).eta


def test_before_there_is_a_plan_nothing_is_promised() -> None:
    stages = [stage("preflight", "Running")]
    line = running_line(stages, stages, {}, HOUR)
    assert (line.phase, line.stage, line.progress, line.eta) == ("Preflight", "preflight", "0%", "")


def test_the_heaviest_stage_that_runs_is_the_one_that_matters() -> None:
    stages = [PREFLIGHT, stage("ingest/b", "Running"), stage("pretrain/ssl", "Running"), stage("adapt/north")]
    line = running_line(stages, stages, {}, HOUR)
    assert (line.phase, line.stage) == ("Pretraining", "pretrain/ssl")


def test_long_stages_count_more_than_short_ones() -> None:
    stages = [PREFLIGHT, stage("ingest/a", "Finished"), stage("pretrain/ssl"), stage("report/r")]
    assert 0.05 < overall(stages) < 0.15


def test_time_left_is_a_range_while_a_long_stage_has_not_started() -> None:
    assert (
        eta(stage("pretrain/ssl", "Running", 50), stage("adapt/north"), reported={"pretrain/ssl": 60.0})
        == "1h-5h"
    )


def test_time_left_is_what_the_drivers_say_once_they_say_all() -> None:
    assert eta(stage("adapt/north", "Running", 50), reported={"adapt/north": 2 * HOUR}) == "~2h"


def test_time_left_is_empty_at_the_very_start() -> None:
    assert eta(stage("pretrain/ssl", "Running", 1), stage("adapt/north")) == ""
    assert eta(stage("pretrain/ssl", "Running", 50), stage("adapt/north"), active=60.0) == ""


def test_a_range_of_one_is_one_figure() -> None:
    assert eta(stage("pretrain/ssl", "Finished"), stage("evaluate/north"), active=400.0) == "~1m"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1m"),
        (200, "3m"),
        (1400, "25m"),
        (5000, "1h"),
        (40 * HOUR, "40h"),
        (100 * HOUR, "4d"),
        (1e300, "9999d"),
    ],
)
def test_durations_are_rounded_to_what_one_may_plan_by(seconds: float, words: str) -> None:
    assert rounded(seconds) == words
