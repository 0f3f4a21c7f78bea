"""The statistics of one arm on one task of the test set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.bootstrap import Resamples, WeightedMeasure
from chex_jobs.evaluation.calibration import expected_calibration_error, weighted_brier
from chex_jobs.evaluation.clustered import Influence, influences, mean_influence
from chex_jobs.evaluation.discrimination import (
    BoolArray,
    FloatArray,
    auprc,
    auroc,
    weighted_average_precision,
    why_undefined,
)
from chex_jobs.evaluation.estimates import (
    auroc_estimate,
    bootstrap_estimate,
    count_classes,
    variance_over_patients,
    why_insufficient,
)
from chex_jobs.evaluation.folds import ArmScores
from chex_jobs.evaluation.predictions import UnitTable
from chex_jobs.evaluation.replication import TrainingVariance, training_variance
from chex_jobs.evaluation.results import ArmTask, ClassCounts, Estimate, Replicate

IntArray = NDArray[np.int64]
ECE_REASON = "No interval: a bootstrap of this measure is biased."


@dataclass(frozen=True)
class TaskData:
    """The labelled test units of one task; the same for all arms."""

    task: str
    column: int
    """Position of the task in logits and labels."""
    units: UnitTable
    seed: int

    @cached_property
    def known(self) -> BoolArray:
        """[n] whether the unit has a label."""
        return ~np.isnan(self.units.labels[:, self.column])

    @cached_property
    def positive(self) -> BoolArray:
        """[m] of the labelled units."""
        return self.units.labels[self.known, self.column] == 1.0

    @cached_property
    def patients(self) -> IntArray:
        """[m] of the labelled units, numbered over all units of the set, so that tasks can be combined."""
        return self.units.dense_patients()[0][self.known]

    @cached_property
    def num_patients(self) -> int:
        """Patients of the whole set, labelled for this task or not."""
        return self.units.dense_patients()[1]

    @cached_property
    def counts(self) -> ClassCounts:
        """Of labelled units and their patients."""
        return count_classes(self.units.labels[:, self.column], self.units.patients)

    @property
    def undefined(self) -> str:
        """Why the task has no AUROC; empty when it has one."""
        return why_undefined(self.positive)

    @property
    def insufficient(self) -> str:
        """Why the task carries no interval; empty when it does."""
        return why_insufficient(self.counts)

    @cached_property
    def resamples(self) -> Resamples:
        """Patient resamples, shared by all arms."""
        return Resamples.make(self.patients, self.positive, self.num_patients, seed=(self.seed, self.column))


@dataclass(frozen=True)
class ArmTaskStatistics:
    """What is printed of one arm and task, and what comparisons need."""

    printed: ArmTask
    influence: Influence | None
    """On the mean over fits; ``None`` when data are insufficient."""
    aurocs: FloatArray
    """[R] of each fit; empty when undefined."""


def arm_task(
    data: TaskData, scores: ArmScores, validation_aurocs: Sequence[float | None], confidence: float
) -> ArmTaskStatistics:
    """All statistics of one arm and task.

    ``validation_aurocs`` [R] belong to the rows of ``scores``.
    """
    logits = scores.logits[:, data.known, data.column]
    aurocs = [auroc(row, data.positive).value for row in logits]
    auprcs = [auprc(row, data.positive).value for row in logits]
    replicates = tuple(
        Replicate(
            int(scores.draws[r]),
            int(scores.seeds[r]),
            validation_aurocs[r],
            aurocs[r],
            auprcs[r],
        )
        for r in range(len(logits))
    )
    defined = np.array([value for value in aurocs if value is not None])
    training = training_variance(defined, list(scores.draws)) if defined.size else TrainingVariance(0.0, 0)
    influence, auroc_result = _auroc(data, logits, defined, training, confidence)
    printed = ArmTask(
        task=data.task,
        validation_auroc=mean_of_defined(validation_aurocs),
        auroc=auroc_result,
        auprc=_bootstrapped(data, weighted_average_precision, logits, scores.draws, confidence),
        brier=_bootstrapped(data, weighted_brier, logits, scores.draws, confidence, needs_classes=False),
        expected_calibration_error=_calibration_error(data, logits),
        standard_error_test=None if influence is None else math.sqrt(variance_over_patients(influence)),
        standard_error_training=math.sqrt(training.variance) if influence and training.measured else None,
        replicates=replicates,
    )
    return ArmTaskStatistics(printed, influence, defined)


def mean_of_defined(values: Sequence[float | None]) -> float | None:
    """Mean of the values that exist; ``None`` when none does."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _auroc(
    data: TaskData, logits: FloatArray, aurocs: FloatArray, training: TrainingVariance, confidence: float
) -> tuple[Influence | None, Estimate]:
    if data.undefined:
        return None, Estimate(None, reason=data.undefined)
    if data.insufficient:
        return None, Estimate(float(aurocs.mean()), reason=data.insufficient)
    average = mean_influence(
        influences(logits, data.positive.astype(np.float64), data.patients, data.num_patients)
    )
    return average, auroc_estimate(average, training, confidence)


def _bootstrapped(
    data: TaskData,
    measure: WeightedMeasure,
    logits: FloatArray,
    draws: IntArray,
    confidence: float,
    *,
    needs_classes: bool = True,
) -> Estimate:
    """A measure with its nested patient bootstrap; the point alone when data are insufficient."""
    if data.positive.size == 0 or (needs_classes and data.undefined):
        return Estimate(None, reason=data.undefined)
    once = np.ones((data.positive.size, 1))
    value = float(np.mean([measure(row, data.positive, once)[0] for row in logits]))
    if data.insufficient:
        return Estimate(value, reason=data.insufficient)
    samples = data.resamples.nested(
        measure, logits, data.positive, data.patients, draws, seed=(data.seed, data.column, len(draws))
    )
    return bootstrap_estimate(value, samples, confidence)


def _calibration_error(data: TaskData, logits: FloatArray) -> Estimate:
    if data.positive.size == 0:
        return Estimate(None, reason=data.undefined)
    value = float(np.mean([expected_calibration_error(row, data.positive) for row in logits]))
    return Estimate(value, reason=ECE_REASON)
