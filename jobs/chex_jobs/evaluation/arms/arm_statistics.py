"""The statistics of one arm on one task of the test set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chex_jobs.evaluation.results.schema import ArmTask, ClassCounts, Estimate, Replicate
from chex_jobs.evaluation.statistics.calibration import expected_calibration_error, squared_errors
from chex_jobs.evaluation.statistics.clustered import (
    Influence,
    average_precisions,
    influences,
    mean_influence,
    mean_of_units,
)
from chex_jobs.evaluation.statistics.discrimination import (
    BoolArray,
    FloatArray,
    IntArray,
    auprc,
    auroc,
    in_compared_folds,
    mean_of_defined,
    why_undefined,
)
from chex_jobs.evaluation.statistics.estimates import (
    auroc_estimate,
    count_classes,
    measure_estimate,
    variance_over_patients,
    why_insufficient,
)
from chex_jobs.evaluation.statistics.folds import ArmScores
from chex_jobs.evaluation.statistics.intervals import AVERAGE_PRECISION, BRIER
from chex_jobs.evaluation.statistics.predictions import UnitTable
from chex_jobs.evaluation.statistics.replication import TrainingVariance, pool_over_arms, training_variance

ECE_REASON = "No interval: this measure is biased by more than an interval of it would be wide."
RANKED_ACROSS_FOLDS = "No interval: folds are scored by different models, and average precision ranks across them, which makes it low."


@dataclass(frozen=True)
class TaskData:
    """The labelled test units of one task; the same for all arms."""

    task: str
    column: int
    """Position of the task in logits and labels."""
    units: UnitTable
    folds_of_units: IntArray | None = None
    """[n] the fold in which each unit is tested; ``None`` when one model scores all units."""

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

    @cached_property
    def folds(self) -> IntArray | None:
        """[m] of the labelled units; ``None`` without folds."""
        return None if self.folds_of_units is None else self.folds_of_units[self.known]

    @cached_property
    def undefined(self) -> str:
        """Why the task has no AUROC; empty when it has one."""
        return why_undefined(self.positive, self.folds)

    @property
    def insufficient(self) -> str:
        """Why the task carries no interval; empty when it does."""
        compared = in_compared_folds(self.positive, self.folds)
        counts = count_classes(self.positive[compared].astype(np.float64), self.patients[compared])
        return why_insufficient(counts) or self.undefined

    def auroc_influences(self, logits: FloatArray) -> list[Influence]:
        """Of K scorers [K, m] of the labelled units: pairs within a fold only."""
        labels = self.positive.astype(np.float64)
        return influences(logits, labels, self.patients, self.num_patients, self.folds)


@dataclass(frozen=True)
class FitValues:
    """One final fit on one task; ``None`` where a class is missing."""

    auroc: float | None
    auprc: float | None
    brier: float | None


@dataclass(frozen=True)
class ArmMeasures:
    """All final fits of an arm on one task: their values, and what each patient contributes."""

    scores: ArmScores
    fits: tuple[FitValues, ...]
    """[R]."""
    calibration_error: float | None
    """Mean over fits."""
    auroc: Influence | None
    """Of the mean over fits; ``None`` when data are insufficient."""
    auprc: Influence | None
    brier: Influence | None

    def values(self, measure: str) -> FloatArray:
        """The measure (``auroc``, ``auprc``, ``brier``) of each fit [R]; empty when undefined."""
        found = [getattr(each, measure) for each in self.fits]
        return np.array([value for value in found if value is not None], dtype=np.float64)


@dataclass(frozen=True)
class ArmTraining:
    """Variance of an arm's means over final fits that comes from training."""

    auroc: TrainingVariance
    auprc: TrainingVariance
    brier: TrainingVariance


@dataclass(frozen=True)
class ArmTaskStatistics:
    """What is printed of one arm and task, and what comparisons need."""

    printed: ArmTask
    influence: Influence | None
    """On the mean over fits; ``None`` when data are insufficient."""
    aurocs: FloatArray
    """[R] of each fit; empty when undefined."""
    training: TrainingVariance
    """Of the mean over fits."""


def arm_measures(data: TaskData, scores: ArmScores) -> ArmMeasures:
    """Measures all final fits of one arm on one task."""
    logits = scores.logits[:, data.known, data.column]
    labels = data.positive.astype(np.float64)
    errors = squared_errors(logits, data.positive)
    some = data.positive.size > 0
    fits = tuple(
        FitValues(
            auroc(row, labels, data.folds).value,
            auprc(row, labels).value,
            float(error.mean()) if some else None,
        )
        for row, error in zip(logits, errors, strict=True)
    )
    calibration = [expected_calibration_error(row, data.positive) for row in logits] if some else [None]
    if data.undefined or data.insufficient:
        return ArmMeasures(scores, fits, mean_of_defined(calibration), None, None, None)
    return ArmMeasures(
        scores,
        fits,
        mean_of_defined(calibration),
        mean_influence(data.auroc_influences(logits)),
        mean_influence(average_precisions(logits, data.positive, data.patients, data.num_patients)),
        mean_influence(mean_of_units(errors, data.patients, data.num_patients)),
    )


def training_of_arms(arms: Sequence[ArmMeasures]) -> list[ArmTraining]:
    """The training variance of each of K arms on one task; a pair of repetitions is pooled over arms."""
    alike = [repetitions(each.scores) for each in arms]
    pooled = [
        pool_over_arms([_training(each, measure) for each in arms], alike)
        for measure in ("auroc", "auprc", "brier")
    ]
    return [ArmTraining(*of_arm) for of_arm in zip(*pooled, strict=True)]


def repetitions(scores: ArmScores) -> tuple[float, int, int]:
    """What arms share whose training varies alike: label fraction, number of draws, number of fits."""
    return scores.arm.label_fraction, len(set(scores.draws.tolist())), len(scores.draws)


def _training(arm: ArmMeasures, measure: str) -> TrainingVariance:
    values = arm.values(measure)
    return training_variance(values, list(arm.scores.draws)) if values.size else TrainingVariance(0.0, 0)


def arm_task(
    data: TaskData,
    measures: ArmMeasures,
    training: ArmTraining,
    validation_aurocs: Sequence[float | None],
    confidence: float,
) -> ArmTaskStatistics:
    """All statistics of one arm and task.

    ``validation_aurocs`` [R] belong to the rows of the arm's scores.
    """
    influence, scores = measures.auroc, measures.scores
    replicates = tuple(
        Replicate(
            int(scores.draws[r]),
            int(scores.seeds[r]),
            validation_aurocs[r],
            each.auroc,
            each.auprc,
        )
        for r, each in enumerate(measures.fits)
    )
    measured = influence is not None and training.auroc.measured
    printed = ArmTask(
        task=data.task,
        validation_auroc=mean_of_defined(validation_aurocs),
        auroc=_point(data, measures, "auroc")
        if influence is None
        else auroc_estimate(influence, training.auroc, confidence),
        auprc=_auprc(data, measures, training.auprc, confidence),
        brier=_point(data, measures, "brier")
        if measures.brier is None
        else measure_estimate(measures.brier, training.brier, confidence, BRIER),
        expected_calibration_error=_calibration_error(data, measures),
        standard_error_test=None if influence is None else math.sqrt(variance_over_patients(influence)),
        standard_error_training=math.sqrt(training.auroc.variance) if measured else None,
        replicates=replicates,
    )
    return ArmTaskStatistics(printed, influence, measures.values("auroc"), training.auroc)


def _point(data: TaskData, measures: ArmMeasures, measure: str) -> Estimate:
    """The mean over fits alone, and why it has no interval."""
    values = measures.values(measure)
    return Estimate(float(values.mean()) if values.size else None, reason=data.undefined or data.insufficient)


def _auprc(data: TaskData, measures: ArmMeasures, training: TrainingVariance, confidence: float) -> Estimate:
    if measures.auprc is None:
        return _point(data, measures, "auprc")
    if data.folds is not None:
        return Estimate(measures.auprc.value, reason=RANKED_ACROSS_FOLDS)
    return measure_estimate(measures.auprc, training, confidence, AVERAGE_PRECISION)


def _calibration_error(data: TaskData, measures: ArmMeasures) -> Estimate:
    if measures.calibration_error is None:
        return Estimate(None, reason=data.undefined)
    return Estimate(measures.calibration_error, reason=ECE_REASON)
