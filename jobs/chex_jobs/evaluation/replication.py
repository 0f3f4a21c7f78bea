"""How much a result depends on which labels were drawn and on the seed of the final fit.

An arm's AUROC is the mean over its final fits. Test patients are one source of its error (``clustered``),
training is the other: seeds within a draw, and draws, which are the sampling of labels. The variance of the
mean is taken between draws where there are several (it contains the seeds' part), else between seeds. Part of
the spread between fits is the same test patients ranked a little differently, so this errs on the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from chex_jobs.evaluation.discrimination import FloatArray


@dataclass(frozen=True)
class TrainingVariance:
    """Variance of a mean over final fits that comes from training."""

    variance: float
    degrees_of_freedom: int
    """0: one fit only, nothing was measured, and ``variance`` is 0."""

    @property
    def measured(self) -> bool:
        """Whether there was more than one fit to measure from."""
        return self.degrees_of_freedom > 0


def training_variance(values: Sequence[float] | FloatArray, draws: Sequence[int]) -> TrainingVariance:
    """Variance of the mean of ``values`` [R], one for each final fit, fits of one draw given by equal ``draws`` [R]."""
    array, groups = np.asarray(values, dtype=np.float64), np.asarray(draws)
    names = np.unique(groups)
    units = np.array([array[groups == name].mean() for name in names]) if len(names) > 1 else array
    if len(units) < 2:
        return TrainingVariance(0.0, 0)
    return TrainingVariance(float(units.var(ddof=1)) / len(units), len(units) - 1)


def satterthwaite(
    test_variance: float, test_degrees_of_freedom: float, training: Sequence[TrainingVariance]
) -> float:
    """Degrees of freedom of a sum of independent variances (Satterthwaite 1946).

    ``math.inf`` when all of them are 0: an error of nothing needs no quantile.
    """
    total = test_variance + sum(each.variance for each in training)
    denominator = test_variance**2 / test_degrees_of_freedom
    denominator += sum(each.variance**2 / each.degrees_of_freedom for each in training if each.measured)
    return total**2 / denominator if denominator > 0 else math.inf


def critical_value(level: float, degrees_of_freedom: float) -> float:
    """Quantile at ``level`` of Student's t with these degrees of freedom, which may be infinite."""
    return float(student.ppf(level, degrees_of_freedom))
