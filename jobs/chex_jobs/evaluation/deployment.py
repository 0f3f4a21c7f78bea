"""The deployed fit of an arm: which weights, and what exactly these weights did on the test set.

Its estimates are conditional on the weights, so they hold no training variance. With grouped folds the
deployed model is the ensemble of the fold models of one draw and seed; its numbers are those of the pooled
out-of-fold scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from chex_jobs.evaluation.arm_statistics import TaskData
from chex_jobs.evaluation.bootstrap import WeightedMeasure
from chex_jobs.evaluation.calibration import (
    calibration_line,
    cross_fitted_operating,
    expected_calibration_error,
    reliability_curve,
    threshold_at_specificity,
    weighted_brier,
    weighted_share,
)
from chex_jobs.evaluation.clustered import influences
from chex_jobs.evaluation.curves import roc_and_pr_curves
from chex_jobs.evaluation.discrimination import BoolArray, FloatArray, auroc
from chex_jobs.evaluation.estimates import auroc_estimate, bootstrap_estimate
from chex_jobs.evaluation.folds import ArmScores, scalings
from chex_jobs.evaluation.predictions import FitKey, ValidationPredictions
from chex_jobs.evaluation.replication import TrainingVariance
from chex_jobs.evaluation.results import (
    ArmKey,
    Calibration,
    Curve,
    DeployedModel,
    DeployedPerformance,
    Estimate,
    OperatingPoint,
)
from chex_jobs.evaluation.scaling import Scaling

WANTED_SPECIFICITIES = (0.8, 0.9, 0.95)
CONDITIONAL = TrainingVariance(0.0, 0)
"""The weights are given: training adds nothing to the error."""


@dataclass(frozen=True)
class DeployedFit:
    """One draw and seed of an arm, as it would be deployed."""

    arm: ArmKey
    draw: int
    seed: int
    scores: ArmScores
    """Of the arm, calibrated."""
    validation: ValidationPredictions

    @property
    def row(self) -> int:
        """Position of the fit in ``scores``."""
        return int(np.flatnonzero((self.scores.draws == self.draw) & (self.scores.seeds == self.seed))[0])

    def test_logits(self, data: TaskData) -> FloatArray:
        """Calibrated logits of the labelled test units of a task."""
        return self.scores.logits[self.row, data.known, data.column]

    def temperature(self, data: TaskData) -> float | None:
        """The fit's temperature for a task; ``None`` where there is none."""
        return self.scores.temperatures[self.row][data.column]

    def raw_validation(self, column: int) -> tuple[FloatArray, BoolArray, FloatArray, FloatArray]:
        """Of the labelled validation units: logits, positive, patients, calibrated logits. Folds one after another."""
        raw, positive, patients, scaled = [], [], [], []
        for each in self.validation.of_arm(self.arm):
            if (each.fit.draw, each.fit.seed) != (self.draw, self.seed):
                continue
            labels = self.validation.units.labels[each.rows, column]
            known = ~np.isnan(labels)
            logits = each.logits[known, column]
            raw.append(logits)
            positive.append(labels[known] == 1.0)
            patients.append(self.validation.units.patients[each.rows][known])
            scaled.append((scalings(self.validation, each.fit)[column] or Scaling()).apply(logits))
        return np.concatenate(raw), np.concatenate(positive), np.concatenate(patients), np.concatenate(scaled)


def deployed_models(
    arm: ArmKey, draw: int, seed: int, objects: Mapping[FitKey, str]
) -> tuple[DeployedModel, ...]:
    """The model objects of one draw and seed of an arm, by fold."""
    chosen = sorted(key for key in objects if (key.arm, key.draw, key.seed) == (arm, draw, seed))
    return tuple(DeployedModel(objects[key], draw, seed, key.fold) for key in chosen)


def deployed_performance(
    fit: DeployedFit, tasks: Sequence[TaskData], confidence: float
) -> tuple[DeployedPerformance, ...]:
    """AUROC of the deployed weights on each task."""
    result = []
    for data in tasks:
        logits = fit.test_logits(data)
        if data.undefined or data.insufficient:
            estimate = Estimate(
                auroc(logits, data.positive).value, reason=data.undefined or data.insufficient
            )
        else:
            labels = data.positive.astype(np.float64)
            (item,) = influences(logits[None, :], labels, data.patients, data.num_patients)
            estimate = auroc_estimate(item, CONDITIONAL, confidence)
        result.append(DeployedPerformance(data.task, estimate, fit.temperature(data)))
    return tuple(result)


def describe_deployed(
    fit: DeployedFit, tasks: Sequence[TaskData], confidence: float, seed: int
) -> tuple[tuple[Calibration, ...], tuple[Curve, ...]]:
    """Calibration and curves of the deployed fit on every task that has both classes."""
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
    logits = fit.test_logits(data)
    line = calibration_line(logits, data.positive)
    return Calibration(
        arm=fit.arm,
        task=data.task,
        temperature=fit.temperature(data),
        brier=_estimate(data, weighted_brier, logits, confidence),
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
    raw, positive, patients, scaled = fit.raw_validation(data.column)
    threshold = threshold_at_specificity(scaled, positive, wanted)
    if threshold is None:
        nothing = Estimate(None, reason="Validation lacks a class, so no threshold could be chosen.")
        return OperatingPoint(wanted, None, None, None, nothing, nothing)
    checked = cross_fitted_operating(raw, positive, patients.astype(np.int64), wanted, seed)
    logits = fit.test_logits(data)
    sensitivity = _estimate(data, _share_flagged(threshold), logits, confidence)
    specificity = _estimate(data, _share_passed(threshold), logits, confidence)
    return OperatingPoint(
        wanted,
        float(expit(threshold)),
        None if checked is None else checked.sensitivity,
        None if checked is None else checked.specificity,
        sensitivity,
        specificity,
    )


def _share_flagged(threshold: float) -> WeightedMeasure:
    return lambda logits, positive, weights: weighted_share(
        (logits >= threshold).astype(np.float64), positive, weights
    )


def _share_passed(threshold: float) -> WeightedMeasure:
    return lambda logits, positive, weights: weighted_share(
        (logits < threshold).astype(np.float64), ~positive, weights
    )


def _estimate(data: TaskData, measure: WeightedMeasure, logits: FloatArray, confidence: float) -> Estimate:
    value = float(measure(logits, data.positive, np.ones((logits.size, 1)))[0])
    if data.insufficient:
        return Estimate(value, reason=data.insufficient)
    samples = data.resamples.measure(measure, logits, data.positive, data.patients)
    return bootstrap_estimate(value, samples, confidence)
