"""What the deployed model of an arm did on the test set.

Its estimates are conditional on the weights, so they hold no training variance. With grouped folds each patient is
predicted by the members of the patient's own fold; probabilities and thresholds are told of the whole model
(``deployed_score.Narrowing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from chex_jobs.evaluation.arms.arm_statistics import TaskData
from chex_jobs.evaluation.arms.deployed_score import DeployedScore, Scored
from chex_jobs.evaluation.results.schema import (
    ArmKey,
    Calibration,
    Curve,
    DeployedPerformance,
    Estimate,
    OperatingPoint,
)
from chex_jobs.evaluation.statistics.calibration import (
    calibration_line,
    cross_fitted_operating,
    expected_calibration_error,
    reliability_curve,
    squared_errors,
    threshold_at_specificity,
)
from chex_jobs.evaluation.statistics.clustered import mean_of_units
from chex_jobs.evaluation.statistics.curves import roc_and_pr_curves
from chex_jobs.evaluation.statistics.discrimination import BoolArray, FloatArray, auroc
from chex_jobs.evaluation.statistics.estimates import auroc_estimate, measure_estimate, share_estimate
from chex_jobs.evaluation.statistics.intervals import BRIER
from chex_jobs.evaluation.statistics.predictions import (
    IntArray,
    PredictionsError,
    TestPredictions,
    ValidationPredictions,
)
from chex_jobs.evaluation.statistics.replication import TrainingVariance

WANTED_SPECIFICITIES = (0.8, 0.9, 0.95)
CONDITIONAL = TrainingVariance(0.0, 0)
"""The weights are given: training adds nothing to the error."""


@dataclass(frozen=True)
class DeployedFit:
    """The deployed model of an arm and what it said of units that it had not seen."""

    score: DeployedScore
    validation: ValidationPredictions
    test: TestPredictions

    @property
    def arm(self) -> ArmKey:
        """Whose model it is."""
        return self.score.arm

    @cached_property
    def _on_test(self) -> Scored:
        said = self.score.unseen(self.test)
        if not np.array_equal(said.rows, np.arange(len(self.test.units.ordinals))):
            raise PredictionsError(f"{self.arm.label}: the members' test units do not part the set")
        return said

    @cached_property
    def _on_validation(self) -> Scored:
        return self.score.unseen(self.validation)

    def test_logits(self, data: TaskData) -> FloatArray:
        """Logits [m] of the labelled test units of a task, as they rank."""
        return self._on_test.logits[data.known, data.column]

    def whole_logits(self, data: TaskData) -> FloatArray:
        """The same [m] with the spread that all members together have: for probabilities and thresholds."""
        labels = data.positive.astype(np.float64)
        return self.score.narrowing[data.column].apply(self.test_logits(data), labels)

    def whole_validation(self, column: int) -> tuple[FloatArray, BoolArray, IntArray]:
        """Of the labelled validation units, as of all members together: logits, positive, patients."""
        labels = self.validation.units.labels[self._on_validation.rows, column]
        known = ~np.isnan(labels)
        logits = self.score.narrowing[column].apply(self._on_validation.logits[known, column], labels[known])
        patients = self.validation.units.patients[self._on_validation.rows][known]
        return logits, labels[known] == 1.0, patients


def deployed_performance(
    fit: DeployedFit, tasks: Sequence[TaskData], confidence: float
) -> tuple[DeployedPerformance, ...]:
    """AUROC of the deployed model on each task."""
    result = []
    for data in tasks:
        estimate = auroc_of_weights(fit.test_logits(data), data, confidence)
        result.append(DeployedPerformance(data.task, estimate, fit.score.calibrated[data.column]))
    return tuple(result)


def auroc_of_weights(logits: FloatArray, data: TaskData, confidence: float) -> Estimate:
    """AUROC of given weights from the logits [m] of the labelled units of a task."""
    if data.undefined or data.insufficient:
        return Estimate(
            auroc(logits, data.positive, data.folds).value, reason=data.undefined or data.insufficient
        )
    (item,) = data.auroc_influences(logits[None, :])
    return auroc_estimate(item, CONDITIONAL, confidence)


def describe_deployed(
    fit: DeployedFit, tasks: Sequence[TaskData], confidence: float, seed: int
) -> tuple[tuple[Calibration, ...], tuple[Curve, ...]]:
    """Calibration and curves of the deployed model on every task that has both classes."""
    usable = [data for data in tasks if not data.undefined]
    calibrations = tuple(_calibration(fit, data, confidence, seed) for data in usable)
    curves = [
        curve
        for data in usable
        if not data.insufficient
        for curve in roc_and_pr_curves(fit.arm, data.task, fit.test_logits(data), data.positive)
    ]
    return calibrations, tuple(curves)


def _calibration(fit: DeployedFit, data: TaskData, confidence: float, seed: int) -> Calibration:
    logits = fit.whole_logits(data)
    line = calibration_line(logits, data.positive)
    return Calibration(
        arm=fit.arm,
        task=data.task,
        brier=_brier(data, logits, confidence),
        expected_calibration_error=expected_calibration_error(logits, data.positive),
        slope=None if line is None else line.slope,
        intercept=None if line is None else line.intercept,
        bins=() if data.insufficient else reliability_curve(logits, data.positive, data.patients),
        operating_points=tuple(
            _operating_point(fit, data, wanted, confidence, seed) for wanted in WANTED_SPECIFICITIES
        ),
    )


def _operating_point(
    fit: DeployedFit, data: TaskData, wanted: float, confidence: float, seed: int
) -> OperatingPoint:
    validated, positive, patients = fit.whole_validation(data.column)
    threshold = threshold_at_specificity(validated, positive, wanted)
    if threshold is None:
        nothing = Estimate(None, reason="Validation lacks a class, so no threshold could be chosen.")
        return OperatingPoint(wanted, None, None, None, nothing, nothing)
    checked = cross_fitted_operating(validated, positive, patients, wanted, seed)
    logits = fit.whole_logits(data)
    sensitivity = _share(data, logits >= threshold, data.positive, confidence)
    specificity = _share(data, logits < threshold, ~data.positive, confidence)
    return OperatingPoint(
        wanted,
        float(expit(threshold)),
        None if checked is None else checked.sensitivity,
        None if checked is None else checked.specificity,
        sensitivity,
        specificity,
    )


def _share(data: TaskData, hits: BoolArray, chosen: BoolArray, confidence: float) -> Estimate:
    """Share of hits [m] among the chosen units [m]."""
    if data.insufficient:
        return Estimate(float(hits[chosen].mean()), reason=data.insufficient)
    values = hits[chosen].astype(np.float64)
    (item,) = mean_of_units(values, data.patients[chosen], data.num_patients)
    return share_estimate(item, confidence)


def _brier(data: TaskData, logits: FloatArray, confidence: float) -> Estimate:
    errors = squared_errors(logits, data.positive)
    if data.insufficient:
        return Estimate(float(errors.mean()), reason=data.insufficient)
    (item,) = mean_of_units(errors, data.patients, data.num_patients)
    return measure_estimate(item, CONDITIONAL, confidence, BRIER)
