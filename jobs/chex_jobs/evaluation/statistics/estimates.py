"""Numbers with their intervals, and the rule for when there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.results.schema import ClassCounts, Estimate, Interval
from chex_jobs.evaluation.statistics.clustered import Influence, covariance
from chex_jobs.evaluation.statistics.disclosure import MIN_PATIENTS_OF_CELL, is_small
from chex_jobs.evaluation.statistics.discrimination import FloatArray
from chex_jobs.evaluation.statistics.intervals import (
    AUROC,
    AUROC_DIFFERENCE,
    SHARE,
    Prior,
    Uncertain,
    difference_interval,
    score_interval,
    share_interval,
)
from chex_jobs.evaluation.statistics.replication import (
    TOO_FEW_REPETITIONS,
    TrainingVariance,
    critical_value,
    enough_repetitions,
    satterthwaite,
)

MIN_PATIENTS_OF_CLASS = 20
"""Below this even clustered intervals fail (77-82 % instead of 95 % at 13 patients), so there is none."""


def count_classes(labels: FloatArray, patients: NDArray[np.int64]) -> ClassCounts:
    """Counts of units [n] with a known label, and of their patients."""
    positive, negative = labels == 1.0, labels == 0.0
    return ClassCounts(
        units=int((positive | negative).sum()),
        positive_units=int(positive.sum()),
        patients=len(np.unique(patients[positive | negative])),
        positive_patients=len(np.unique(patients[positive])),
        negative_patients=len(np.unique(patients[negative])),
    )


def why_insufficient(counts: ClassCounts) -> str:
    """Empty when the set can carry an interval, else the sentence that says why not."""
    smaller = min(counts.positive_patients, counts.negative_patients)
    if smaller >= MIN_PATIENTS_OF_CLASS:
        return ""
    of_both = counts.positive_patients + counts.negative_patients - counts.patients
    found = str(smaller)
    if is_small(smaller):
        found = f"fewer than {MIN_PATIENTS_OF_CELL}"
    elif is_small(of_both):  # The exact number would tell, beside those with the finding, how many these are.
        found = f"fewer than {MIN_PATIENTS_OF_CLASS}"
    return f"Insufficient data: {found} patients in the smaller class, {MIN_PATIENTS_OF_CLASS} are needed for an interval."


def variance_over_patients(influence: Influence) -> float:
    """Variance of a measure over the sampling of test patients."""
    return max(float(covariance([influence])[0, 0]), 0.0)


def auroc_estimate(influence: Influence, training: TrainingVariance, confidence: float) -> Estimate:
    """An AUROC, or a mean of AUROCs, with its interval over test patients and training."""
    return measure_estimate(influence, training, confidence, AUROC)


def measure_estimate(
    influence: Influence, training: TrainingVariance, confidence: float, prior: Prior
) -> Estimate:
    """A measure in [0, 1] with its score interval over test patients and training."""
    sampling = variance_over_patients(influence)
    total = sampling + training.variance
    freedom = satterthwaite(sampling, influence.degrees_of_freedom, [training])
    if not enough_repetitions(freedom, [training]):
        return Estimate(influence.value, reason=TOO_FEW_REPETITIONS)
    critical = critical_value((1 + confidence) / 2, freedom)
    bounds = score_interval(Uncertain.of(influence, total, prior), critical)
    return Estimate(influence.value, Interval(*bounds, confidence, "clustered-score"), math.sqrt(total))


def share_estimate(influence: Influence, confidence: float) -> Estimate:
    """A sensitivity or a specificity of given weights, with its interval over test patients."""
    variance = variance_over_patients(influence)
    critical = critical_value((1 + confidence) / 2, influence.degrees_of_freedom)
    bounds = share_interval(Uncertain.of(influence, variance, SHARE), critical, confidence)
    return Estimate(influence.value, Interval(*bounds, confidence, "clustered-share"), math.sqrt(variance))


def difference_estimate(
    first: Influence, second: Influence, training: Sequence[TrainingVariance], confidence: float
) -> Estimate:
    """AUROC of the first minus that of the second on the same patients.

    ``training`` [2]: of the first, of the second (of variance 0 where nothing was trained several times).
    """
    difference = first - second
    sampling = covariance([first, second])
    freedom = satterthwaite(variance_over_patients(difference), difference.degrees_of_freedom, training)
    if not enough_repetitions(freedom, training):
        return Estimate(difference.value, reason=TOO_FEW_REPETITIONS)
    measures = [
        Uncertain.of(each, max(float(sampling[k, k]), 0.0) + training[k].variance, AUROC_DIFFERENCE)
        for k, each in enumerate((first, second))
    ]
    critical = critical_value((1 + confidence) / 2, freedom)
    bounds = difference_interval(measures[0], measures[1], float(sampling[0, 1]), critical)
    error = math.sqrt(variance_over_patients(difference) + sum(each.variance for each in training))
    return Estimate(difference.value, Interval(*bounds, confidence, "clustered-difference"), error)
