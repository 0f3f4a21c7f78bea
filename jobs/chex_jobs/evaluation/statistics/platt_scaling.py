"""Turns logits into calibrated logits: a slope and an intercept, fitted on validation labels.

The map is strictly increasing, so within one model it changes no ranking. Fits are small (a few dozen
patients), so they are penalised: the logarithm of the slope has a standard normal prior, the intercept a
normal one with standard deviation 3, both worth about one observation. Separable data or a missing class then
give a finite answer.

A slope alone (a temperature) would leave a model biased that was trained at another prevalence, or whose
scores are means over the films of a study.

    J. Platt, Probabilistic outputs for support vector machines, 1999.
    C. Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from chex_jobs.evaluation.statistics.discrimination import BoolArray, FloatArray, known_units

INTERCEPT_STANDARD_DEVIATION = 3.0


@dataclass(frozen=True)
class Scaling:
    """calibrated logit = slope x logit + intercept."""

    slope: float = 1.0
    """Positive."""
    intercept: float = 0.0

    def apply(self, logits: FloatArray) -> FloatArray:
        """Calibrated logits, in the shape of ``logits``."""
        return self.slope * logits + self.intercept

    def then(self, after: Scaling) -> Scaling:
        """This scaling and another one after it, as one."""
        return Scaling(after.slope * self.slope, after.slope * self.intercept + after.intercept)


def fit_slope_and_intercept(logits: ArrayLike, labels: ArrayLike) -> Scaling:
    """Slope and intercept on units [n] with labels 1, 0 or NaN; without any label the scaling that changes nothing.

    With one class only the penalties decide: the intercept then moves towards that class.
    """
    kept, positive = known_units(logits, labels)
    if kept.size == 0:
        return Scaling()
    log_slope, intercept = _minimise(kept, positive)
    return Scaling(float(np.exp(log_slope)), float(intercept))


def _minimise(logits: FloatArray, positive: BoolArray) -> FloatArray:
    """Penalised maximum likelihood of (log slope, intercept)."""
    signs = np.where(positive, 1.0, -1.0)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        slope, intercept = np.exp(parameters[0]), parameters[1]
        margin = signs * (slope * logits + intercept)
        residual = -signs * expit(-margin)
        gradient = np.array([np.sum(residual * logits) * slope + parameters[0], np.sum(residual)])
        gradient[1] += intercept / INTERCEPT_STANDARD_DEVIATION**2
        penalty = 0.5 * parameters[0] ** 2 + 0.5 * (intercept / INTERCEPT_STANDARD_DEVIATION) ** 2
        return float(-log_expit(margin).sum() + penalty), gradient

    # Slopes from 1/150 to 150: far more than a model needs, and exp() stays finite.
    bounds = [(-5.0, 5.0), (None, None)]
    return minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds).x
