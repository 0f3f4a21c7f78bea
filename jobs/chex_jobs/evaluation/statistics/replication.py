"""How much a result depends on which labels were drawn and on the seed of the final fit.

An arm's AUROC is the mean over its final fits. Test patients are one source of its error (``clustered``),
training is the other: seeds within a draw, and draws, which are the sampling of labels. The variance of the
mean is taken between draws where there are several (it contains the seeds' part), else between seeds. Part of
the spread between fits is the same test patients ranked a little differently, so this errs on the safe side.

Two repetitions tell next to nothing of their variance: it is pooled over arms that were repeated alike, and where
even that leaves fewer than two degrees of freedom nothing is claimed but *too few repetitions*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from chex_jobs.evaluation.statistics.discrimination import FloatArray

MIN_DEGREES_OF_FREEDOM = 2.0
"""Below, Student's t has no variance, and an interval from it says nothing."""
TOO_FEW_REPETITIONS = "Too few repetitions: training varies, and two draws or seeds cannot tell how much. Raise draws or finalSeeds."


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


def pool_over_arms(variances: Sequence[TrainingVariance], alike: Sequence[object]) -> list[TrainingVariance]:
    """Training variances [K] of arms, where a pair of repetitions is joined with those of the arms repeated alike.

    An arm with a single degree of freedom takes the larger of its own variance and the mean over the arms whose
    ``alike`` [K] (label fraction, number of draws and seeds) is equal, with the degrees of freedom of that mean.
    Arms without any spread (a fit that no seed changes) do not thin out the mean.
    """
    result = []
    for own, group in zip(variances, alike, strict=True):
        peers = [
            each
            for each, other in zip(variances, alike, strict=True)
            if other == group and each.measured and each.variance > 0.0
        ]
        if own.degrees_of_freedom != 1 or not peers:
            result.append(own)
            continue
        mean = float(np.mean([each.variance for each in peers]))
        result.append(
            TrainingVariance(max(own.variance, mean), sum(each.degrees_of_freedom for each in peers))
        )
    return result


def enough_repetitions(degrees_of_freedom: float, training: Sequence[TrainingVariance]) -> bool:
    """Whether an error with these degrees of freedom, of which training is a part, carries an interval."""
    measured = any(each.measured for each in training)
    return not measured or degrees_of_freedom >= MIN_DEGREES_OF_FREEDOM


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
