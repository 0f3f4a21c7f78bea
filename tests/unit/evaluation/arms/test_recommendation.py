"""The recommendation: every verdict, and what it costs to be wrong."""

import numpy as np
import pytest

from chex_jobs.evaluation.arms.recommendation import (
    Advice,
    ArmEvidence,
    TestEvidence,
    ValidationChoice,
    arm_verdict,
    recommend,
    shown_above_chance,
)
from chex_jobs.evaluation.arms.selection import FitStanding, Standing
from chex_jobs.evaluation.results.schema import ArmCost, ArmKey, ArmVerdict, RecommendationVerdict
from chex_jobs.evaluation.statistics.clustered import Influence, influences
from chex_jobs.evaluation.statistics.replication import TrainingVariance

CHEAP, MIDDLE, DEAR = (ArmKey("ssl", name, 1.0) for name in ("cheap", "middle", "dear"))
COSTS = {CHEAP: 1.0, MIDDLE: 2.0, DEAR: 3.0}


def choice(**validation: float) -> ValidationChoice:
    """Validation scores by strategy."""
    keys = {"cheap": CHEAP, "middle": MIDDLE, "dear": DEAR}
    return ValidationChoice.of(
        tuple(
            Standing(
                keys[name], ArmCost(COSTS[keys[name]], 100, 1, 1), score, (FitStanding(0, 0, score, ()),)
            )
            for name, score in validation.items()
        )
    )


def evidence(
    aurocs: dict[ArmKey, float], error: float, correlation: float = 0.9, seed: int = 0
) -> TestEvidence:
    """Arms whose AUROCs have this standard error over 400 patients, sharing ``correlation`` of it."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=400)
    arms = {}
    for arm, value in aurocs.items():
        own = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=400)
        parts = np.zeros((4, 400))
        parts[0] = error * own / np.sqrt((own**2).sum())
        arms[arm] = ArmEvidence(Influence(value, parts, 199, 0.003), TrainingVariance(0.0, 2))
    return TestEvidence(arms)


def decide(choice, evidence, margin=0.02):
    return recommend(choice, evidence, margin=margin, confidence=0.95, seed=0)


def test_a_cheaper_arm_that_is_shown_to_be_close_is_enough_next_time_and_the_reference_is_deployed():
    found = decide(
        choice(cheap=0.7, middle=0.8, dear=0.9), evidence({CHEAP: 0.80, MIDDLE: 0.855, DEAR: 0.86}, 0.01)
    )
    assert (found.deploy, found.enough) == (DEAR, MIDDLE)
    assert found.verdict is RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN
    assert found.proven
    assert [each.verdict for each in found.comparisons] == [
        ArmVerdict.WORSE,
        ArmVerdict.WITHIN_MARGIN,
        ArmVerdict.REFERENCE,
    ]


def test_the_cheapest_of_several_that_pass_is_taken_even_if_another_is_better():
    found = decide(
        choice(cheap=0.7, middle=0.8, dear=0.9), evidence({CHEAP: 0.86, MIDDLE: 0.87, DEAR: 0.86}, 0.01)
    )
    assert (found.deploy, found.enough) == (DEAR, CHEAP)


def test_a_small_test_set_shows_nothing_and_the_validation_choice_stands_unproven():
    found = decide(choice(cheap=0.7, dear=0.9), evidence({CHEAP: 0.85, DEAR: 0.86}, 0.08))
    assert (found.deploy, found.enough) == (DEAR, None)
    assert found.verdict is RecommendationVerdict.NOT_DISTINGUISHABLE
    assert not found.proven


def test_cheaper_arms_that_are_all_worse_prove_the_reference():
    found = decide(
        choice(cheap=0.7, middle=0.7, dear=0.9), evidence({CHEAP: 0.70, MIDDLE: 0.72, DEAR: 0.86}, 0.01)
    )
    assert (found.deploy, found.enough, found.verdict) == (
        DEAR,
        None,
        RecommendationVerdict.CHEAPER_ARMS_WORSE,
    )
    assert found.proven


def test_a_reference_that_is_cheapest_was_chosen_on_validation_and_proves_nothing():
    found = decide(choice(cheap=0.9, dear=0.8), evidence({CHEAP: 0.80, DEAR: 0.805}, 0.02))
    assert (found.deploy, found.verdict) == (CHEAP, RecommendationVerdict.REFERENCE_IS_CHEAPEST)
    assert not found.proven


def test_a_dearer_arm_that_is_shown_to_be_better_is_told_and_replaces_nothing():
    found = decide(
        choice(cheap=0.5, middle=0.9, dear=0.8), evidence({CHEAP: 0.7, MIDDLE: 0.80, DEAR: 0.95}, 0.01)
    )
    assert (found.deploy, found.verdict) == (MIDDLE, RecommendationVerdict.DEARER_ARM_BETTER)
    assert found.comparisons[-1].verdict is ArmVerdict.BETTER
    assert not found.proven


def test_a_dearer_arm_that_is_better_does_not_hide_the_cheaper_one_that_is_enough():
    found = decide(
        choice(cheap=0.5, middle=0.9, dear=0.8), evidence({CHEAP: 0.80, MIDDLE: 0.80, DEAR: 0.90}, 0.005)
    )
    assert (found.enough, found.verdict) == (CHEAP, RecommendationVerdict.DEARER_ARM_BETTER)


def test_the_arm_that_is_told_to_be_better_for_as_much_or_more_is_none_of_the_cheaper_ones():
    found = decide(
        choice(cheap=0.5, middle=0.9, dear=0.8), evidence({CHEAP: 0.95, MIDDLE: 0.80, DEAR: 0.90}, 0.005)
    )
    assert found.verdict is RecommendationVerdict.DEARER_ARM_BETTER
    assert (found.enough, found.better) == (CHEAP, DEAR)


def test_an_arm_of_equal_cost_that_is_shown_to_be_better_is_told_too():
    """Starts that share a strategy cost the same: what validation overlooked is not only found among dearer ones."""
    standings = tuple(
        Standing(arm, ArmCost(5.0, 100, 1, 1), score, (FitStanding(0, 0, score, ()),))
        for arm, score in ((CHEAP, 0.9), (DEAR, 0.8))
    )
    found = decide(ValidationChoice.of(standings), evidence({CHEAP: 0.70, DEAR: 0.90}, 0.01))
    assert (found.deploy, found.verdict) == (CHEAP, RecommendationVerdict.DEARER_ARM_BETTER)
    assert found.better == DEAR


@pytest.mark.parametrize("auroc", [pytest.param(0.51, id="at chance"), pytest.param(0.35, id="below chance")])
def test_arms_that_are_not_shown_to_be_better_than_chance_are_no_recommendation_however_alike(auroc):
    found = decide(choice(cheap=0.7, dear=0.9), evidence({CHEAP: auroc, DEAR: auroc}, 0.01))
    assert found.verdict is RecommendationVerdict.NO_ARM_BETTER_THAN_CHANCE
    assert found.enough is None
    assert not found.proven


def test_one_arm_above_chance_is_enough_for_a_comparison_but_an_arm_at_chance_is_never_enough():
    found = decide(choice(cheap=0.7, dear=0.9), evidence({CHEAP: 0.51, DEAR: 0.54}, 0.01), margin=0.3)
    assert found.enough is None
    assert found.above_chance


def test_the_more_arms_there_are_the_more_it_takes_to_be_above_chance():
    keys = [ArmKey("ssl", f"arm-{k}", 1.0) for k in range(40)]
    one, many = (dict.fromkeys(keys[:count], 0.522) for count in (1, 40))
    assert shown_above_chance(evidence(one, 0.01), 0.95)
    assert not shown_above_chance(evidence(many, 0.01), 0.95)


def test_complete_separation_is_better_than_chance_though_it_has_no_interval():
    assert shown_above_chance(evidence({CHEAP: 1.0}, 0.0), 0.95) == {CHEAP}


def test_labels_cost_more_than_film_passes():
    """Thirty per cent of the labels are cheaper than all of them, whatever the machine had to do for it."""
    few, all_labels = ArmKey("ssl", "lp-ft", 0.3), ArmKey("ssl", "lp-ft", 1.0)
    standings = tuple(
        Standing(arm, ArmCost(passes, patients, 1, 1), score, (FitStanding(0, 0, score, ()),))
        for arm, passes, patients, score in ((few, 900.0, 30, 0.7), (all_labels, 500.0, 100, 0.9))
    )
    found = decide(ValidationChoice.of(standings), evidence({few: 0.86, all_labels: 0.86}, 0.01))
    assert (found.deploy, found.enough) == (all_labels, few)


def test_no_task_with_enough_patients_means_insufficient_data_and_no_numbers():
    found = decide(choice(cheap=0.7, dear=0.9), TestEvidence({}))
    assert (found.deploy, found.verdict, found.proven) == (
        DEAR,
        RecommendationVerdict.INSUFFICIENT_DATA,
        False,
    )
    assert found.critical_value is None
    assert {each.upper for each in found.comparisons} == {None}


def test_training_that_varies_from_seed_to_seed_weakens_the_claim():
    steady = evidence({CHEAP: 0.855, DEAR: 0.86}, 0.01)
    shaky = TestEvidence(
        {arm: ArmEvidence(each.influence, TrainingVariance(0.01**2, 2)) for arm, each in steady.arms.items()}
    )
    assert decide(choice(cheap=0.7, dear=0.9), steady).enough == CHEAP
    assert decide(choice(cheap=0.7, dear=0.9), shaky).enough is None


def test_a_shaky_reference_widens_every_comparison_with_it():
    steady = evidence({CHEAP: 0.80, MIDDLE: 0.81, DEAR: 0.86}, 0.01).arms
    shaky = {**steady, DEAR: ArmEvidence(steady[DEAR].influence, TrainingVariance(0.03**2, 20))}
    found = decide(choice(cheap=0.7, middle=0.7, dear=0.9), TestEvidence(shaky))
    before = decide(choice(cheap=0.7, middle=0.7, dear=0.9), TestEvidence(steady))
    for new, old in zip(found.comparisons[:2], before.comparisons[:2], strict=True):
        assert new.standard_error
        assert old.standard_error
        assert new.standard_error**2 == pytest.approx(old.standard_error**2 + 0.03**2)
    assert (found.critical_value or 9) < (
        before.critical_value or 0
    )  # one error common to all is one comparison


def test_a_single_arm_is_its_own_reference():
    found = decide(choice(cheap=0.7), evidence({CHEAP: 0.8}, 0.05))
    assert (found.deploy, found.verdict) == (CHEAP, RecommendationVerdict.REFERENCE_IS_CHEAPEST)


def separated(patients: int, margin: float) -> Advice:
    """Two arms that both separate a test set of so many patients of each class."""
    labels = np.repeat([1.0, 0.0], patients)
    scores = np.stack([labels, 2.0 * labels])
    items = influences(scores, labels, np.arange(2 * patients), 2 * patients)
    arms = {
        arm: ArmEvidence(item, TrainingVariance(0.0, 2))
        for arm, item in zip((CHEAP, DEAR), items, strict=True)
    }
    return decide(choice(cheap=0.7, dear=0.9), TestEvidence(arms), margin)


@pytest.mark.parametrize("patients", [20, 500])
def test_two_arms_that_no_patient_tells_apart_are_not_distinguishable(patients):
    found = separated(patients, margin=0.05)
    assert found.verdict is RecommendationVerdict.NOT_DISTINGUISHABLE
    assert (found.enough, found.proven) == (None, False)
    assert {each.upper for each in found.comparisons if each.arm == CHEAP} == {None}


def test_one_misplaced_film_among_twenty_patients_proves_nothing_either():
    """Its variance is next to nothing; the patients are as few as before."""
    labels = np.repeat([1.0, 0.0], 20)
    nearly = np.r_[np.linspace(2, 3, 20), np.linspace(0, 1, 19), 2.01]
    items = influences(np.stack([nearly, labels]), labels, np.arange(40), 40)
    arms = {
        arm: ArmEvidence(item, TrainingVariance(0.0, 2))
        for arm, item in zip((CHEAP, DEAR), items, strict=True)
    }
    found = decide(choice(cheap=0.7, dear=0.9), TestEvidence(arms), margin=0.05)
    assert found.verdict is RecommendationVerdict.NOT_DISTINGUISHABLE


def test_two_draws_of_two_arms_that_vary_wildly_are_too_few_to_compare():
    steady = evidence({CHEAP: 0.80, DEAR: 0.86}, 0.01).arms
    shaky = {arm: ArmEvidence(each.influence, TrainingVariance(0.09, 1)) for arm, each in steady.items()}
    found = decide(choice(cheap=0.7, dear=0.9), TestEvidence({CHEAP: shaky[CHEAP], DEAR: steady[DEAR]}))
    (cheap,) = [each for each in found.comparisons if each.arm == CHEAP]
    assert (cheap.lower, cheap.upper, cheap.verdict) == (None, None, ArmVerdict.NOT_DISTINGUISHABLE)


@pytest.mark.parametrize("training", [0.0, 0.01, 1.0])
def test_no_bound_of_a_deficit_is_beyond_one(training):
    arms = {
        arm: ArmEvidence(each.influence, TrainingVariance(training, 3))
        for arm, each in evidence({CHEAP: 0.02, MIDDLE: 0.999, DEAR: 0.98}, 0.3).arms.items()
    }
    found = decide(choice(cheap=0.7, middle=0.8, dear=0.9), TestEvidence(arms))
    for each in found.comparisons:
        assert each.lower is not None
        assert each.upper is not None
        assert -1.0 <= each.lower <= each.upper <= 1.0


@pytest.mark.parametrize(
    ("lower", "upper", "verdict"),
    [
        (-0.02, -0.001, ArmVerdict.BETTER),
        (-0.01, 0.019, ArmVerdict.WITHIN_MARGIN),
        (0.001, 0.019, ArmVerdict.WITHIN_MARGIN),
        (-0.01, 0.02, ArmVerdict.NOT_DISTINGUISHABLE),
        (0.001, 0.03, ArmVerdict.WORSE),
    ],
)
def test_verdict_of_one_arm(lower, upper, verdict):
    assert arm_verdict(lower, upper, 0.02) is verdict


def test_an_arm_on_the_edge_of_the_margin_is_recommended_no_more_often_than_the_confidence_allows():
    """Ten cheaper arms, each worse by exactly the margin: recommending any of them is an error."""
    keys = [ArmKey("ssl", f"arm-{k}", 1.0) for k in range(10)]
    costs = {DEAR: 99.0, **{key: float(k) for k, key in enumerate(keys)}}
    chosen = ValidationChoice.of(
        tuple(
            Standing(
                arm, ArmCost(costs[arm], 1, 1, 1), 0.9 if arm == DEAR else 0.5, (FitStanding(0, 0, 0.5, ()),)
            )
            for arm in costs
        )
    )
    rng = np.random.default_rng(0)
    covariance = 0.01**2 * (0.7 * np.ones((11, 11)) + 0.3 * np.eye(11))
    root = np.linalg.cholesky(covariance)
    parts = np.zeros((11, 4, 11))
    parts[:, 0] = root
    wrong = 0
    for run in range(60):
        errors = root @ rng.standard_normal(11)
        truth = np.array([0.86, *[0.84] * 10]) + errors
        arms = {
            arm: ArmEvidence(Influence(float(v), parts[k], 10_000, 0.0002), TrainingVariance(0.0, 2))
            for k, (arm, v) in enumerate(zip(costs, truth, strict=True))
        }
        advice = recommend(chosen, TestEvidence(arms), margin=0.02, confidence=0.9, seed=run)
        wrong += advice.verdict is RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN
    assert wrong <= 12  # 10 % of 60, and three binomial standard errors of 2.3 at most
