"""A whole evaluation on simulated hospitals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from chex_jobs.evaluation.arms.arm_statistics import RANKED_ACROSS_FOLDS
from chex_jobs.evaluation.arms.cross_hospital import score_of
from chex_jobs.evaluation.evaluate import evaluate, with_cross_hospital
from chex_jobs.evaluation.results.results_json import dumps, loads
from chex_jobs.evaluation.results.schema import (
    ArmVerdict,
    HospitalResults,
    RecommendationVerdict,
    Sufficiency,
    reproducible_part,
)
from chex_jobs.evaluation.statistics.discrimination import auroc
from chex_jobs.evaluation.statistics.predictions import FitKey, FitLogits, PredictionsError, TestPredictions
from tests.unit.evaluation.simulated_hospital import TASKS, SimulatedArm, hospital, settings

ARMS = (
    SimulatedArm("probe", 0.6, 100.0),
    SimulatedArm("lp-ft", 1.6, 500.0),
    SimulatedArm("lp-ft", 1.2, 300.0, fraction=0.1, draws=2),
    SimulatedArm("dapt-lp-ft", 1.65, 900.0),
)


@pytest.fixture(scope="module")
def found() -> HospitalResults:
    return evaluate(settings(), *hospital(ARMS))


def test_the_cheaper_of_two_equal_arms_is_recommended_and_poor_ones_are_not(found):
    advice = found.recommendation
    assert advice.deploy in (ARMS[1].key, ARMS[3].key)
    assert (advice.enough or advice.deploy) in (ARMS[1].key, ARMS[2].key)
    verdicts = {each.arm: each.verdict for each in advice.comparisons}
    assert verdicts[ARMS[0].key] is ArmVerdict.WORSE
    assert advice.tasks == TASKS


def test_results_survive_their_json_and_running_again_gives_the_same_bytes(found):
    assert loads(HospitalResults, dumps(found)) == found
    assert dumps(reproducible_part(evaluate(settings(), *hospital(ARMS)))) == dumps(reproducible_part(found))


def test_estimates_lie_in_their_intervals_and_intervals_in_zero_to_one(found):
    for arm in found.arms:
        for task in arm.tasks:
            for each in (task.auroc, task.auprc, task.brier):
                assert each.interval is not None
                assert 0.0 <= each.interval.lower <= each.value <= each.interval.upper <= 1.0
            assert task.expected_calibration_error.interval is None
            assert task.auroc.standard_error**2 == pytest.approx(
                task.standard_error_test**2 + task.standard_error_training**2
            )


def test_arms_are_in_order_of_cost_and_carry_each_fit(found):
    assert [arm.cost.film_passes for arm in found.arms] == [300.0, 100.0, 500.0, 900.0]
    fits = {arm.arm: len(arm.tasks[0].replicates) for arm in found.arms}
    assert fits[ARMS[2].key] == 6
    task = found.arms[0].tasks[0]
    assert task.auroc.value == pytest.approx(np.mean([each.test_auroc for each in task.replicates]))


def test_the_mean_of_the_final_seeds_is_deployed_and_evaluated_as_that_mean(found):
    advice = found.recommendation
    assert advice.deployed_as == "Ensemble"
    assert [(each.draw, each.seed) for each in advice.deployed] == [(0, 0), (0, 1), (0, 2)]
    inputs, _ = hospital(ARMS)
    for column, performance in enumerate(advice.deployed_performance):
        known = ~np.isnan(inputs.test.units.labels[:, column])
        said = [
            scaling.slope * inputs.test.by_fit[fit].logits[known, column] + scaling.intercept
            for each in advice.deployed
            for scaling in (each.scalings[column],)
            for fit in (FitKey(advice.deploy, each.draw, each.seed, -1),)
        ]
        expected = auroc(np.mean(said, axis=0), inputs.test.units.labels[known, column]).value
        assert performance.auroc.value == pytest.approx(expected)
        interval = performance.auroc.interval
        assert interval.lower < performance.auroc.value < interval.upper
        arm = next(arm for arm in found.arms if arm.arm == advice.deploy)
        assert performance.auroc.value > arm.tasks[column].auroc.value, "what seeds do not share cancels out"


def test_one_member_is_deployed_and_evaluated_where_that_is_asked_for():
    results = evaluate(replace(settings(), deploy="BestFit"), *hospital(ARMS))
    advice = results.recommendation
    (deployed,) = advice.deployed
    arm = next(arm for arm in results.arms if arm.arm == advice.deploy)
    for task, performance in zip(arm.tasks, advice.deployed_performance, strict=True):
        own = next(each for each in task.replicates if (each.draw, each.seed) == (0, deployed.seed))
        assert performance.auroc.value == pytest.approx(own.test_auroc)


def test_seeds_that_share_a_model_are_one_member():
    inputs, record = hospital(ARMS[:1])
    shared = replace(inputs, objects=dict.fromkeys(inputs.objects, "7" * 64))
    assert len(evaluate(settings(), shared, record).recommendation.deployed) == 1


def test_only_the_recommended_and_the_reference_arm_are_described_in_detail(found):
    shown = {found.recommendation.deploy, found.recommendation.enough} - {None}
    assert {each.arm for each in found.calibrations} == shown == {each.arm for each in found.curves}
    for each in found.calibrations:
        assert 0.5 < each.slope < 2.0
        assert len(each.bins) == 10
        for point in each.operating_points:
            assert point.specificity.value == pytest.approx(point.wanted_specificity, abs=0.12)
            assert (
                point.specificity.interval.lower
                <= point.specificity.value
                <= point.specificity.interval.upper
            )


def test_thresholds_reach_their_specificity_on_the_deployed_models_own_validation_scores():
    inputs, record = hospital(ARMS[:2])
    inputs = replace(
        inputs,
        validation=replace(
            inputs.validation,
            fits=tuple(replace(each, logits=4.0 * each.logits + 9.0) for each in inputs.validation.fits),
        ),
        test=replace(
            inputs.test,
            fits=tuple(replace(each, logits=4.0 * each.logits + 9.0) for each in inputs.test.fits),
        ),
    )
    results = evaluate(settings(), inputs, record)
    advice = results.recommendation
    assert advice.deploy is not None
    for each in (each for each in results.calibrations if each.arm == advice.deploy):
        column = TASKS.index(each.task)
        assert all(abs(member.scalings[column].slope) < 0.8 for member in advice.deployed)
        score = score_of(advice.deploy, advice.deployed).unseen(inputs.validation)
        labels = inputs.validation.units.labels[score.rows, column]
        for point in each.operating_points:
            below = (score.logits[labels == 0, column] < logit(point.threshold)).mean()
            assert 0 <= below - point.wanted_specificity <= 1 / (labels == 0).sum()


def test_curves_run_from_corner_to_corner(found):
    for curve in found.curves:
        assert len(curve.x) == len(curve.y) <= 200
        if curve.kind == "ROC":
            assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0.0, 0.0, 1.0, 1.0)
            assert list(curve.x) == sorted(curve.x)


def test_subgroups_are_those_of_the_recommended_arm(found):
    cells = {(cell.level, cell.task): cell for cell in found.subgroups}
    assert set(cells) == {(level, task) for level in ("f", "m") for task in TASKS}
    overall = next(a for a in found.arms if a.arm == found.recommendation.deploy).tasks[0].auroc.value
    assert cells["f", TASKS[0]].auroc.value == pytest.approx(overall, abs=0.06)


def test_too_few_patients_give_points_without_any_interval_and_no_claim():
    results = evaluate(settings(), *hospital(ARMS, num_patients=36))
    assert {each.sufficiency for each in results.tasks} == {Sufficiency.INSUFFICIENT_DATA}
    assert results.recommendation.verdict is RecommendationVerdict.INSUFFICIENT_DATA
    assert not results.recommendation.proven
    assert results.curves == ()
    assert b'"interval": {' not in dumps(results)
    for arm in results.arms:
        assert arm.mean_auroc.value is not None
        assert "Insufficient data" in arm.mean_auroc.reason
    assert any("Insufficient data" in each for each in results.warnings)


def test_a_task_without_positives_is_undefined_and_does_not_disturb_the_other():
    inputs, record = hospital(ARMS)
    labels = inputs.test.units.labels.copy()
    labels[:, 1] = np.where(np.isnan(labels[:, 1]), np.nan, 0.0)
    units = replace(inputs.test.units, labels=labels)
    results = evaluate(settings(), replace(inputs, test=replace(inputs.test, units=units)), record)
    lone = results.arms[0].tasks[1]
    assert (lone.auroc.value, lone.auprc.value) == (None, None)
    assert lone.auroc.reason == "No unit is positive."
    assert lone.brier.value is not None
    assert results.recommendation.tasks == (TASKS[0],)


def test_grouped_folds_are_ranked_by_themselves_and_the_ensemble_is_deployed():
    results = evaluate(settings(num_folds=5), *hospital(ARMS[:2], num_folds=5))
    members = [(each.seed, each.fold) for each in results.recommendation.deployed]
    assert sorted(members) == [(seed, fold) for seed in range(3) for fold in range(5)]
    assert any("pairs within each of 5 folds" in each for each in results.warnings)
    good = next(arm for arm in results.arms if arm.arm == ARMS[1].key)
    split = evaluate(settings(), *hospital(ARMS[:2]))
    same = next(arm for arm in split.arms if arm.arm == ARMS[1].key)
    assert good.mean_auroc.value == pytest.approx(same.mean_auroc.value, abs=0.03)


def test_models_of_different_folds_need_not_share_a_scale():
    """AUROCs of test, validation and subgroups stay what they are when each fold's logits move as one."""
    inputs, record = hospital(ARMS[:2], num_folds=5)

    def moved(fits: tuple[FitLogits, ...]) -> tuple[FitLogits, ...]:
        return tuple(replace(each, logits=each.logits + 0.5 * each.fit.fold) for each in fits)

    apart = replace(
        inputs,
        test=replace(inputs.test, fits=moved(inputs.test.fits)),
        validation=replace(inputs.validation, fits=moved(inputs.validation.fits)),
    )
    one, other = (evaluate(settings(num_folds=5), each, record) for each in (inputs, apart))
    for before, after in zip(one.arms, other.arms, strict=True):
        assert before.validation_score == pytest.approx(after.validation_score, abs=1e-12)
        assert before.mean_auroc.value == pytest.approx(after.mean_auroc.value, abs=1e-12)
    for before, after in zip(one.subgroups, other.subgroups, strict=True):
        assert before.auroc.value == pytest.approx(after.auroc.value, abs=1e-12)


def test_average_precision_over_folds_has_no_interval_and_says_why():
    results = evaluate(settings(num_folds=5), *hospital(ARMS[:2], num_folds=5))
    for arm in results.arms:
        for task in arm.tasks:
            assert task.auprc.interval is None
            assert task.auprc.reason == RANKED_ACROSS_FOLDS
            assert task.auroc.interval is not None


def test_two_draws_of_three_arms_are_pooled():
    """Alone, two draws have one degree of freedom and bounds that span everything."""
    arms = [replace(arm, seeds=1, draws=2) for arm in ARMS]
    results = evaluate(settings(), *hospital(arms, num_patients=600))
    for each in results.recommendation.comparisons:
        assert each.upper is not None
        assert each.lower is not None
        assert each.upper - each.lower < 0.3


def test_a_fit_without_test_predictions_stops_the_evaluation():
    inputs, record = hospital(ARMS[:1])
    broken = replace(inputs, test=replace(inputs.test, fits=()))
    with pytest.raises(PredictionsError, match="ssl/probe@1: no test predictions"):
        evaluate(settings(), broken, record)


def test_arms_with_one_fit_are_pointed_out():
    results = evaluate(settings(), *hospital([replace(arm, seeds=1) for arm in ARMS[:2]]))
    assert results.arms[0].tasks[0].standard_error_training is None
    assert any("one final fit each" in each for each in results.warnings)


def test_another_hospitals_test_set_is_predicted_by_the_mean_of_the_fold_models(found):
    inputs, record = hospital(ARMS[:2], num_folds=5)
    results = evaluate(settings(num_folds=5), inputs, record)
    recommended = results.recommendation.deploy
    elsewhere, _ = hospital(ARMS[:2], num_patients=200, seed=9)
    rows = np.arange(len(elsewhere.test.units.ordinals))
    rng = np.random.default_rng(0)
    base = np.nan_to_num(elsewhere.test.units.labels[:, [0]], nan=0.5) * 1.5
    fits = tuple(
        FitLogits(each.fit, rows, base + rng.normal(size=base.shape))
        for each in inputs.test.fits
        if each.fit.arm == recommended
    )
    units = replace(elsewhere.test.units, labels=elsewhere.test.units.labels[:, [0]])
    test = TestPredictions(TASKS[:1], units, fits)
    (cell,) = with_cross_hospital(results, {"south": test}).cross_hospital
    assert (cell.trained_on, cell.tested_on, cell.task, cell.arm) == ("north", "south", TASKS[0], recommended)
    one_model = 0.856  # Phi(1.5 / sqrt 2)
    assert (cell.auroc.value or 0) > one_model + 0.05  # five models average their noise away
    assert cell.own_auroc.value is not None
