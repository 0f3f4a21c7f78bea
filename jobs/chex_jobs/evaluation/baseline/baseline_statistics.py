"""The metadata baseline beside an arm: the same statistics, and their paired difference."""

from __future__ import annotations

import numpy as np

from chex_jobs.evaluation.arms.arm_statistics import (
    ArmTaskStatistics,
    TaskData,
    arm_measures,
    arm_task,
    training_of_arms,
)
from chex_jobs.evaluation.baseline.metadata_baseline import BASELINE_ARM, BaselinePredictions
from chex_jobs.evaluation.results.schema import Estimate, MetadataBaseline
from chex_jobs.evaluation.statistics.discrimination import FloatArray
from chex_jobs.evaluation.statistics.estimates import difference_estimate
from chex_jobs.evaluation.statistics.folds import ArmScores, arm_scores
from chex_jobs.evaluation.statistics.predictions import PredictionsError


def baseline_result(
    data: TaskData,
    predictions: BaselinePredictions | str,
    recommended: ArmTaskStatistics,
    confidence: float,
) -> MetadataBaseline:
    """The baseline of one task beside the recommended arm.

    Raises PredictionsError when the baseline was made for other test units.
    """
    if isinstance(predictions, str):
        nothing = Estimate(None, reason=predictions)
        return MetadataBaseline(data.task, (), nothing, nothing, nothing, predictions)
    if not np.array_equal(predictions.test.units.ordinals, data.units.ordinals):
        raise PredictionsError(f"{data.task}: the metadata baseline predicts other test units than the arms")
    scores = arm_scores(BASELINE_ARM, predictions.validation, predictions.test)
    measures = arm_measures(data, _in_column(scores, data.column))
    (training,) = training_of_arms([measures])
    baseline = arm_task(data, measures, training, [None], confidence)
    gain = _gain(recommended, baseline, confidence)
    return MetadataBaseline(
        data.task, predictions.features, baseline.printed.auroc, baseline.printed.auprc, gain, ""
    )


def _in_column(scores: ArmScores, column: int) -> ArmScores:
    """Scores of one task [R, n, 1] placed where ``arm_task`` looks for the task."""
    placed: FloatArray = np.repeat(scores.logits, column + 1, axis=2)
    return ArmScores(scores.arm, scores.draws, scores.seeds, placed)


def _gain(recommended: ArmTaskStatistics, baseline: ArmTaskStatistics, confidence: float) -> Estimate:
    first, second = recommended.printed.auroc, baseline.printed.auroc
    if first.value is None or second.value is None:
        return Estimate(None, reason=first.reason or second.reason)
    if recommended.influence is None or baseline.influence is None:
        return Estimate(first.value - second.value, reason=first.reason or second.reason)
    return difference_estimate(
        recommended.influence, baseline.influence, [recommended.training, baseline.training], confidence
    )
