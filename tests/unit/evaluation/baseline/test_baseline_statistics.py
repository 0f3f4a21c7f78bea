"""The gain over the metadata baseline: paired, and as uncertain as training is."""

import numpy as np
import pytest

from chex_jobs.evaluation.arms.arm_statistics import (
    ArmTaskStatistics,
    TaskData,
    arm_measures,
    arm_task,
    training_of_arms,
)
from chex_jobs.evaluation.baseline.baseline_statistics import baseline_result
from chex_jobs.evaluation.baseline.metadata_baseline import BASELINE_ARM, BaselinePredictions
from chex_jobs.evaluation.evaluate import task_data
from chex_jobs.evaluation.statistics.clustered import influences, mean_influence
from chex_jobs.evaluation.statistics.estimates import variance_over_patients
from chex_jobs.evaluation.statistics.folds import ArmScores, arm_scores
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    FitLogits,
    PredictionsError,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)
from tests.unit.evaluation.simulated_hospital import SimulatedArm, hospital

ARM = SimulatedArm("lp-ft", 1.5, 1.0)


def baseline(units: UnitTable, validation_units: UnitTable, column: int) -> BaselinePredictions:
    """A baseline of one noisy column."""

    def said(table: UnitTable) -> FitLogits:
        labels = np.nan_to_num(table.labels[:, column], nan=0.5)
        noise = np.random.default_rng(3).normal(size=len(labels))
        return FitLogits(
            FitKey(BASELINE_ARM, 0, 0, -1), np.arange(len(labels)), (0.5 * labels + noise)[:, None]
        )

    def one(table: UnitTable) -> UnitTable:
        return UnitTable(table.ordinals, table.patients, table.labels[:, [column]])

    return BaselinePredictions(
        ("view",),
        ValidationPredictions(("effusion",), one(validation_units), (said(validation_units),)),
        TestPredictions(("effusion",), one(units), (said(units),)),
    )


def statistics_of(data: TaskData, scores: ArmScores) -> ArmTaskStatistics:
    measures = arm_measures(data, scores)
    (training,) = training_of_arms([measures])
    return arm_task(data, measures, training, [None] * len(scores.draws), 0.95)


def test_the_error_of_the_gain_holds_patients_paired_and_training():
    inputs, _ = hospital([ARM])
    data = task_data(inputs.test)[1]
    scores = arm_scores(ARM.key, inputs.validation, inputs.test)
    statistics = statistics_of(data, scores)
    predictions = baseline(inputs.test.units, inputs.validation.units, 1)
    found = baseline_result(data, predictions, statistics, 0.95)

    labels = data.positive.astype(float)
    blind = predictions.test.fits[0].logits[data.known].T
    (base,) = influences(blind, labels, data.patients, data.num_patients)
    model = mean_influence(
        influences(scores.logits[:, data.known, 1], labels, data.patients, data.num_patients)
    )
    training = np.var(statistics.aurocs, ddof=1) / 3
    assert found.auroc.value == pytest.approx(base.value)
    assert found.gain.value == pytest.approx(model.value - base.value)
    assert found.gain.standard_error == pytest.approx(
        np.sqrt(variance_over_patients(model - base) + training)
    )


def test_a_baseline_for_other_units_is_refused():
    inputs, _ = hospital([ARM])
    data = task_data(inputs.test)[1]
    scores = arm_scores(ARM.key, inputs.validation, inputs.test)
    statistics = statistics_of(data, scores)
    with pytest.raises(PredictionsError, match="other test units"):
        baseline_result(
            data,
            baseline(inputs.validation.units, inputs.validation.units, 1),
            statistics,
            0.95,
        )
