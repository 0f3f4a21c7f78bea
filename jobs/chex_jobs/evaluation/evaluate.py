"""From predictions of a hospital's arms to its results.

Order matters and is visible below: choose on validation, then look at test, then compare, then describe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from chex_jobs.evaluation.arms.arm_statistics import (
    ArmTaskStatistics,
    TaskData,
    arm_measures,
    arm_task,
    repetitions,
    training_of_arms,
)
from chex_jobs.evaluation.arms.cross_hospital import cross_hospital_cells
from chex_jobs.evaluation.arms.deployed_score import deployed_score, distinct_members
from chex_jobs.evaluation.arms.deployment import DeployedFit, deployed_performance, describe_deployed
from chex_jobs.evaluation.arms.recommendation import (
    Advice,
    ArmEvidence,
    TestEvidence,
    ValidationChoice,
    recommend,
)
from chex_jobs.evaluation.arms.selection import Deploy, Metric, Standing, choose_deployed, standings
from chex_jobs.evaluation.arms.subgroups import ScoredTask, subgroup_cells, subgroup_levels
from chex_jobs.evaluation.baseline.baseline_statistics import baseline_result
from chex_jobs.evaluation.baseline.metadata_baseline import BaselinePredictions
from chex_jobs.evaluation.reporting.sentences import Measured, gather_warnings, sentence
from chex_jobs.evaluation.results.schema import (
    SCHEMA,
    ArmCost,
    ArmKey,
    ArmResult,
    Estimate,
    HospitalCompute,
    HospitalResults,
    LedgerSummary,
    PatientFlow,
    Recommendation,
    SubgroupCell,
    Sufficiency,
    TaskSummary,
)
from chex_jobs.evaluation.statistics.clustered import mean_influence
from chex_jobs.evaluation.statistics.discrimination import mean_of_defined
from chex_jobs.evaluation.statistics.estimates import auroc_estimate, count_classes
from chex_jobs.evaluation.statistics.folds import ArmScores, arm_scores
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)
from chex_jobs.evaluation.statistics.replication import pool_over_arms, training_variance


@dataclass(frozen=True)
class Settings:
    """What the manifest says about an evaluation, and the seed of its simulations."""

    hospital: str
    dataset: str
    unit: str
    split: str
    """``patients``, ``groupedFolds`` or ``official``."""
    num_folds: int
    margin: float
    confidence: float
    metric: Metric
    seed: int
    deploy: Deploy = "Ensemble"
    """The mean of an arm's final seeds, or the one that was best on validation."""


@dataclass(frozen=True)
class ArmFacts:
    """What the adaptation knows of an arm."""

    arm: ArmKey
    transfer: str
    dapt_objective: str
    cost: ArmCost
    hyperparameters: Mapping[str, float]


@dataclass(frozen=True)
class Record:
    """What is passed through to the results as it is."""

    flow: PatientFlow
    ledger: LedgerSummary
    compute: HospitalCompute
    identities: Mapping[str, str]
    unlearnable: Mapping[str, str] = field(default_factory=dict)
    """Tasks that no arm was trained for -> why."""
    notices: Sequence[str] = ()
    """What the adaptation has to say of its arms; they stand before the evaluation's own warnings."""


@dataclass(frozen=True)
class Inputs:
    """Everything an evaluation reads."""

    arms: Sequence[ArmFacts]
    objects: Mapping[FitKey, str]
    """Identity of the model object of every final fit."""
    training_units: UnitTable
    """All labelled training units (with grouped folds: all units)."""
    validation: ValidationPredictions
    test: TestPredictions
    baselines: Mapping[str, BaselinePredictions | str]
    """Task -> predictions of the metadata baseline, or why there are none."""
    subgroups: Mapping[str, Sequence[object]]
    """Column -> value of each test unit."""


def evaluate(settings: Settings, inputs: Inputs, record: Record) -> HospitalResults:
    """All results of one hospital, but for other hospitals' test sets (``with_cross_hospital``).

    Raises PredictionsError when predictions are incomplete.
    """
    costs = {each.arm: each.cost for each in inputs.arms}
    choice = ValidationChoice.of(standings(inputs.validation, costs, settings.metric))

    scores = {arm: arm_scores(arm, inputs.validation, inputs.test) for arm in costs}
    tasks = task_data(inputs.test)
    statistics = arm_statistics(choice.standings, scores, tasks, settings.confidence)
    evidence = _evidence(statistics, tasks, scores)
    advice = recommend(
        choice, evidence, margin=settings.margin, confidence=settings.confidence, seed=settings.seed
    )

    facts = {each.arm: each for each in inputs.arms}
    arms = tuple(
        _arm_result(facts[each.arm], each, statistics[each.arm], evidence, settings.confidence)
        for each in choice.standings
    )
    asked = (*inputs.test.tasks, *record.unlearnable)
    shown = {
        arm: _deployed(arm, inputs, choice, settings.deploy)
        for arm in (advice.deploy, advice.enough)
        if arm is not None
    }
    recommendation = _recommendation(settings, inputs, advice, shown, tasks, asked)
    described = [describe_deployed(fit, tasks, settings.confidence, settings.seed) for fit in shown.values()]
    baselines = tuple(
        baseline_result(
            data,
            inputs.baselines.get(data.task, "The data set has no metadata columns."),
            statistics[advice.deploy][data.column],
            settings.confidence,
        )
        for data in tasks
    )
    summaries = tuple(_task_summary(data, inputs) for data in tasks)
    return HospitalResults(
        schema=SCHEMA,
        hospital=settings.hospital,
        dataset=settings.dataset,
        unit=settings.unit,
        split=settings.split,
        num_folds=settings.num_folds,
        margin=settings.margin,
        confidence=settings.confidence,
        tasks=summaries,
        arms=arms,
        recommendation=recommendation,
        metadata_baselines=baselines,
        calibrations=tuple(each for calibrations, _ in described for each in calibrations),
        curves=tuple(each for _, curves in described for each in curves),
        subgroups=_subgroups(inputs, scores[advice.deploy], tasks, settings.confidence),
        cross_hospital=(),
        flow=record.flow,
        ledger=record.ledger,
        compute=record.compute,
        identities=dict(record.identities),
        unlearnable=dict(record.unlearnable),
        warnings=(*record.notices, *gather_warnings(summaries, arms, baselines, settings.num_folds)),
        selection_metric=settings.metric,
    )


def with_cross_hospital(
    results: HospitalResults, elsewhere: Mapping[str, TestPredictions]
) -> HospitalResults:
    """Adds what the model to deploy, and the one that is enough, reach on other hospitals' test sets.

    ``elsewhere``: other hospital -> predictions of their members on its test units, for the tasks both have. It
    is a step of its own because these test sets are opened only once it is known for which arms.
    """
    cells = [cell for other, test in elsewhere.items() for cell in cross_hospital_cells(results, other, test)]
    return replace(results, cross_hospital=tuple(cells))


def task_data(test: TestPredictions) -> tuple[TaskData, ...]:
    """The labelled units of each task of a test set."""
    return tuple(
        TaskData(task, column, test.units, test.folds_of_units) for column, task in enumerate(test.tasks)
    )


def arm_statistics(
    standings: Sequence[Standing],
    scores: Mapping[ArmKey, ArmScores],
    tasks: Sequence[TaskData],
    confidence: float,
) -> dict[ArmKey, tuple[ArmTaskStatistics, ...]]:
    """The statistics of all arms on all tasks."""
    found: dict[ArmKey, list[ArmTaskStatistics]] = {each.arm: [] for each in standings}
    for data in tasks:
        measures = [arm_measures(data, scores[each.arm]) for each in standings]
        for standing, of_arm, training in zip(standings, measures, training_of_arms(measures), strict=True):
            validation = _validation_aurocs(standing, of_arm.scores, data.column)
            found[standing.arm].append(arm_task(data, of_arm, training, validation, confidence))
    return {arm: tuple(of_tasks) for arm, of_tasks in found.items()}


def _validation_aurocs(standing: Standing, scores: ArmScores, column: int) -> list[float | None]:
    """[R] for the rows of the scores."""
    on_validation = {(each.draw, each.seed): each.aurocs for each in standing.fits}
    return [
        on_validation[int(draw), int(seed)][column]
        for draw, seed in zip(scores.draws, scores.seeds, strict=True)
    ]


def _evidence(
    statistics: Mapping[ArmKey, Sequence[ArmTaskStatistics]],
    tasks: Sequence[TaskData],
    scores: Mapping[ArmKey, ArmScores],
) -> TestEvidence:
    """Each arm's mean AUROC over the tasks with sufficient data."""
    columns = [data.column for data in tasks if not data.insufficient]
    if not columns:
        return TestEvidence({})
    alone = [
        training_variance(
            np.mean([of_tasks[column].aurocs for column in columns], axis=0), list(scores[arm].draws)
        )
        for arm, of_tasks in statistics.items()
    ]
    pooled = pool_over_arms(alone, [repetitions(scores[arm]) for arm in statistics])
    arms = {}
    for (arm, of_tasks), training in zip(statistics.items(), pooled, strict=True):
        items = [of_tasks[column].influence for column in columns]
        arms[arm] = ArmEvidence(mean_influence([item for item in items if item is not None]), training)
    return TestEvidence(arms)


def _arm_result(
    facts: ArmFacts,
    standing: Standing,
    statistics: Sequence[ArmTaskStatistics],
    evidence: TestEvidence,
    confidence: float,
) -> ArmResult:
    return ArmResult(
        arm=facts.arm,
        transfer=facts.transfer,
        dapt_objective=facts.dapt_objective,
        cost=facts.cost,
        hyperparameters=dict(facts.hyperparameters),
        validation_score=standing.score,
        mean_auroc=_mean_auroc(facts.arm, statistics, evidence, confidence),
        tasks=tuple(each.printed for each in statistics),
    )


def _mean_auroc(
    arm: ArmKey, statistics: Sequence[ArmTaskStatistics], evidence: TestEvidence, confidence: float
) -> Estimate:
    if evidence.arms:
        return auroc_estimate(evidence.arms[arm].influence, evidence.arms[arm].training, confidence)
    value = mean_of_defined([each.printed.auroc.value for each in statistics])
    return Estimate(value, reason="Insufficient data: no task has enough patients for an interval.")


def _deployed(arm: ArmKey, inputs: Inputs, choice: ValidationChoice, deploy: Deploy) -> DeployedFit:
    standing = next(each for each in choice.standings if each.arm == arm)
    members = distinct_members(arm, choose_deployed(standing, deploy), inputs.objects)
    return DeployedFit(
        deployed_score(members, inputs.validation, inputs.test), inputs.validation, inputs.test
    )


def _recommendation(
    settings: Settings,
    inputs: Inputs,
    advice: Advice,
    shown: Mapping[ArmKey, DeployedFit],
    tasks: Sequence[TaskData],
    asked: tuple[str, ...],
) -> Recommendation:
    fit = shown[advice.deploy]
    enough = None if advice.enough is None else shown[advice.enough]
    compared = tuple(data.task for data in tasks if not data.insufficient)
    return Recommendation(
        deploy=advice.deploy,
        enough=advice.enough,
        verdict=advice.verdict,
        proven=advice.proven,
        sentence=sentence(advice, Measured(compared, asked), settings.margin, settings.confidence),
        margin=settings.margin,
        confidence=settings.confidence,
        critical_value=advice.critical_value,
        tasks=compared,
        comparisons=advice.comparisons,
        deployed=fit.score.described(inputs.objects, inputs.test.tasks),
        deployed_performance=deployed_performance(fit, tasks, settings.confidence),
        enough_deployed=() if enough is None else enough.score.described(inputs.objects, inputs.test.tasks),
        enough_performance=() if enough is None else deployed_performance(enough, tasks, settings.confidence),
        deployed_as=settings.deploy,
    )


def _task_summary(data: TaskData, inputs: Inputs) -> TaskSummary:
    train, validation = inputs.training_units, inputs.validation.units
    return TaskSummary(
        task=data.task,
        train=count_classes(train.labels[:, data.column], train.patients),
        validate=count_classes(validation.labels[:, data.column], validation.patients),
        test=data.counts,
        sufficiency=Sufficiency.INSUFFICIENT_DATA if data.insufficient else Sufficiency.SUFFICIENT,
        reason=data.insufficient,
    )


def _subgroups(
    inputs: Inputs, scores: ArmScores, tasks: Sequence[TaskData], confidence: float
) -> tuple[SubgroupCell, ...]:
    patients, _ = inputs.test.units.dense_patients()
    scored = [
        ScoredTask(
            data.task,
            inputs.test.units.labels[:, data.column],
            scores.logits[:, :, data.column],
            data.folds_of_units,
        )
        for data in tasks
    ]
    return tuple(
        cell
        for column, values in sorted(inputs.subgroups.items())
        for cell in subgroup_cells(
            column, subgroup_levels(column, values), scored, scores.draws, patients, confidence
        )
    )
