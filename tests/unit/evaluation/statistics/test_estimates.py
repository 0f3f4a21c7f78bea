"""Intervals over patients and training, and the rule for having none."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from chex_jobs.evaluation.results.schema import ClassCounts, Interval
from chex_jobs.evaluation.statistics.clustered import Influence, influences
from chex_jobs.evaluation.statistics.estimates import (
    auroc_estimate,
    count_classes,
    difference_estimate,
    share_estimate,
    why_insufficient,
)
from chex_jobs.evaluation.statistics.replication import (
    TOO_FEW_REPETITIONS,
    TrainingVariance,
    pool_over_arms,
    satterthwaite,
    training_variance,
)
from tests.unit.evaluation.clustered_films import simulate

NOTHING = TrainingVariance(0.0, 0)


def first_influence(num_scorers: int = 1) -> list[Influence]:
    films = simulate(np.random.default_rng(0), num_positive=60, num_negative=60, num_scorers=num_scorers)
    return influences(films.scores, films.labels, films.patients, 120)


@pytest.mark.parametrize(
    ("positive", "negative", "sufficient"),
    [(20, 20, True), (19, 500, False), (500, 19, False), (1, 0, False)],
)
def test_twenty_patients_of_the_smaller_class_are_needed(positive, negative, sufficient):
    reason = why_insufficient(ClassCounts(900, 100, 600, positive, negative))
    assert (reason == "") is sufficient
    assert sufficient or f"{min(positive, negative)} patient" in reason


def test_the_smaller_class_is_not_counted_where_that_tells_how_many_patients_are_in_both():
    """With 30 of 45 patients positive, 18 with a negative unit would be three of both kinds."""
    assert "fewer than 20 patients" in why_insufficient(ClassCounts(90, 60, 45, 30, 18))
    assert "18 patients" in why_insufficient(ClassCounts(48, 30, 48, 30, 18))


def test_patients_with_units_of_both_classes_count_in_both_and_unknown_ones_in_neither():
    counts = count_classes(np.array([1.0, 0.0, 0.0, np.nan]), np.array([0, 0, 1, 2]))
    assert counts == ClassCounts(
        units=3, positive_units=1, patients=2, positive_patients=1, negative_patients=2
    )


def test_training_variance_is_taken_between_draws_where_there_are_several():
    values = [0.80, 0.82, 0.70, 0.72, 0.90, 0.92]
    found = training_variance(values, [0, 0, 1, 1, 2, 2])
    assert found.variance == pytest.approx(np.var([0.81, 0.71, 0.91], ddof=1) / 3)
    assert found.degrees_of_freedom == 2


def test_training_variance_of_one_draw_is_taken_between_seeds():
    found = training_variance([0.8, 0.9], [0, 0])
    assert (found.variance, found.degrees_of_freedom) == (pytest.approx(0.005 / 2), 1)


def test_a_single_fit_measures_no_training_variance():
    assert not training_variance([0.8], [0]).measured


def test_degrees_of_freedom_lie_between_those_of_the_parts():
    assert satterthwaite(1.0, 50, [NOTHING]) == 50
    assert satterthwaite(1e-12, 50, [TrainingVariance(1.0, 2)]) == pytest.approx(2)
    assert 2 < satterthwaite(1.0, 50, [TrainingVariance(1.0, 2)]) < 50
    assert math.isinf(satterthwaite(0.0, 50, [NOTHING]))


def test_seeds_that_differ_widen_the_interval_of_an_auroc():
    (item,) = first_influence()
    alone = auroc_estimate(item, NOTHING, 0.95)
    with_training = auroc_estimate(item, TrainingVariance(0.02**2, 2), 0.95)
    assert alone.interval
    assert with_training.interval
    assert with_training.interval.lower < alone.interval.lower < item.value < alone.interval.upper
    assert with_training.standard_error == pytest.approx(math.hypot(alone.standard_error or 0, 0.02))


def test_a_perfect_auroc_has_an_interval_that_says_what_so_few_patients_can_show():
    def perfect(patients: int) -> Interval:
        labels = np.repeat([1.0, 0.0], patients)
        (item,) = influences(labels[None], labels, np.arange(2 * patients), 2 * patients)
        found = auroc_estimate(item, NOTHING, 0.95)
        assert found.value == 1.0
        assert found.interval
        return found.interval

    assert 0.85 < perfect(20).lower < 0.95 < perfect(200).lower < perfect(200).upper == 1.0


@pytest.mark.parametrize("value", [0.0, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("error", [0.0, 0.001, 0.2, 5.0])
def test_no_bound_is_outside_its_range(value, error):
    parts = np.zeros((4, 40))
    parts[0, :2] = error, -error
    item, other = Influence(value, parts, 1.0, 0.1), Influence(1.0 - value, -parts, 19.0, 0.1)
    for found, least in (
        (auroc_estimate(item, NOTHING, 0.999), 0.0),
        (share_estimate(item, 0.999), 0.0),
        (difference_estimate(item, other, [NOTHING, NOTHING], 0.999), -1.0),
    ):
        assert found.interval
        assert found.value is not None
        assert least <= found.interval.lower <= found.value <= found.interval.upper <= 1.0


def test_a_paired_difference_is_narrower_than_two_separate_intervals():
    first, second = first_influence(2)
    found = difference_estimate(first, second, [NOTHING, NOTHING], 0.95)
    separate = math.hypot(
        *(auroc_estimate(each, NOTHING, 0.95).standard_error or 0 for each in (first, second))
    )
    assert found.value == pytest.approx(first.value - second.value)
    assert (found.standard_error or 0) < 0.8 * separate
    assert found.interval
    reach = (found.interval.upper - found.interval.lower) / 2
    assert reach > norm.ppf(0.975) * (found.standard_error or 0)  # Student's t


def test_two_repetitions_of_one_arm_are_too_few_where_training_varies_most():
    (item,) = first_influence()
    assert auroc_estimate(item, TrainingVariance(0.2**2, 1), 0.95).reason == TOO_FEW_REPETITIONS
    assert auroc_estimate(item, TrainingVariance(0.2**2, 4), 0.95).interval


def test_two_repetitions_are_pooled_over_arms_that_were_repeated_alike():
    pairs = [TrainingVariance(variance, 1) for variance in (0.01, 0.03, 0.0)]
    others = [TrainingVariance(9.0, 1), TrainingVariance(0.5, 2)]
    found = pool_over_arms([*pairs, *others], ["a", "a", "a", "b", "a"])
    # The mean over "a" with any spread is (0.01 + 0.03 + 0.5) / 3, with 1 + 1 + 2 degrees of freedom.
    assert [each.variance for each in found[:3]] == pytest.approx([0.18] * 3)
    assert [each.degrees_of_freedom for each in found[:3]] == [4] * 3
    assert found[3:] == others


def test_pooling_never_makes_an_arm_look_steadier_than_it_was():
    found = pool_over_arms([TrainingVariance(0.09, 1), TrainingVariance(0.01, 1)], [0, 0])
    assert [each.variance for each in found] == pytest.approx([0.09, 0.05])
