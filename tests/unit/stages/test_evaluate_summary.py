"""What terminal and status say of an evaluation: the numbers of the page, each task named, the clock's whole time."""

from dataclasses import replace

import pytest

from chex_jobs.evaluation.results.results_json import loads
from chex_jobs.evaluation.results.schema import HospitalCompute, RecommendationVerdict, Results
from chex_jobs.report import numbers
from chex_jobs.stages.evaluate import summary_of, with_clock
from tests.unit.evaluation.example_results import PATH


@pytest.fixture(scope="module")
def results() -> Results:
    return loads(Results, PATH.read_bytes())


def test_every_task_stands_in_the_line_with_the_weights_that_are_deployed(results: Results) -> None:
    north = results.hospitals[0]
    line = summary_of(north).headline
    for each in north.recommendation.deployed_performance:
        assert f"{each.task} {numbers.estimate(each.auroc)}" in line
    assert north.recommendation.sentence not in line  # it is told once, at the end


def test_the_number_of_several_tasks_is_their_mean_and_says_of_which(results: Results) -> None:
    north = results.hospitals[0]
    told = summary_of(north)
    assert told.auroc_tasks == north.recommendation.tasks
    assert told.auroc == pytest.approx(0.83)
    assert told.auroc_low is None


def test_the_number_of_one_task_is_that_of_the_page_with_its_interval(results: Results) -> None:
    north = results.hospitals[0]
    one = replace(north, recommendation=replace(north.recommendation, tasks=("opacity",)))
    found = north.recommendation.deployed_performance[0].auroc
    told = summary_of(one)
    assert found.interval is not None
    assert (told.auroc, told.auroc_low, told.auroc_high) == (
        found.value,
        found.interval.lower,
        found.interval.upper,
    )


def test_a_hospital_without_a_model_has_no_number(results: Results) -> None:
    north = results.hospitals[0]
    verdict = RecommendationVerdict.VALIDATION_COULD_NOT_CHOOSE
    advice = replace(north.recommendation, deploy=None, verdict=verdict, tasks=(), deployed_performance=())
    told = summary_of(replace(north, recommendation=advice, arms=(), tasks=()))
    assert (told.recommended, told.auroc, told.headline) == ("", None, "Validation could not choose")


def test_the_clock_counts_adaptation_and_evaluation_or_nothing() -> None:
    compute = HospitalCompute(1.0, 2.0, 3, 0, 4, 238.0)
    assert with_clock(compute, 10.0).wall_seconds == 248.0
    assert with_clock(replace(compute, wall_seconds=None), 10.0).wall_seconds is None
