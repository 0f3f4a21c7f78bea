"""Intervals of measures in [0, 1] that hold near 1, where an estimated variance collapses.

A variance that is estimated from the errors seen is too small when few errors were seen, and 0 when none was:
two models that both separate 20 + 20 patients are not proven equal. So

* the variance is taken to be value (1 - value) / n at every value (Wilson), where n is the *effective number* of
  patients that the clustered variance tells, and the bounds are those values that the estimate does not refute;
* the effective number is joined with a weak prior expectation of it, worth a patient or less: the few errors seen
  decide as soon as there are several, and the number of patients decides while there is none;
* a difference takes the distances of its two measures to their own bounds, joined by their correlation (MOVER).

The bounds lie in [0, 1], those of a difference in [-1, 1]. How well they cover is measured in docs/statistics.md.

    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212. R. G. Newcombe, Statistics in Medicine 17 (1998) 857-890.
    G. Y. Zou, A. Donner, Statistics in Medicine 27 (2008) 1693-1702 (MOVER).
    L. D. Brown, T. T. Cai, A. DasGupta, Statistical Science 16 (2001) 101-133 (Wilson and Jeffreys near 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import beta, norm

from chex_jobs.evaluation.statistics.clustered import Influence


@dataclass(frozen=True)
class Prior:
    """What is expected of a variance before errors are seen."""

    ratio: float
    """Expected variance in units of dispersion x value (1 - value): 1 when an error is a whole patient's."""
    weight: float
    """Patients that the expectation is worth."""


AUROC = Prior(ratio=0.2, weight=0.5)
"""A misplaced patient is on the wrong side of a part of the others only: 0.2 is a binormal model near 0.98."""
AUROC_DIFFERENCE = Prior(ratio=0.5, weight=1.0)
"""For proofs. 0.5 is the exponential model of Hanley and McNeil, whose misplaced patients are placed badly."""
PAIRED_WEIGHT = 0.25
"""Patients that the prior is worth where two measures of the same patients are correlated."""
SHARE = Prior(ratio=1.0, weight=1.0)
AVERAGE_PRECISION = Prior(ratio=1.3, weight=0.8)
BRIER = Prior(ratio=0.2, weight=0.5)


@dataclass(frozen=True)
class Uncertain:
    """A measure with its variance, and what is needed for bounds."""

    value: float
    """In [0, 1]."""
    variance: float
    """Over patients and training, as estimated."""
    expected: float
    """Prior expectation of variance / (value (1 - value))."""
    weight: float
    """Of the prior, in patients."""

    @staticmethod
    def of(influence: Influence, variance: float, prior: Prior) -> Uncertain:
        """A measure whose variance, training included, is given."""
        return Uncertain(influence.value, variance, prior.ratio * influence.dispersion, prior.weight)

    @property
    def joined_variance(self) -> float:
        """With the prior's: never 0."""
        return self.variance + self.weight * self.expected**2

    @property
    def paired_variance(self) -> float:
        """With so little of the prior's that arms which agree on most patients still count as correlated."""
        return self.variance + PAIRED_WEIGHT * self.expected**2

    @property
    def effective_number(self) -> float:
        """N of the variance value (1 - value) / n."""
        return (self.value * (1.0 - self.value) + self.weight * self.expected) / self.joined_variance


def score_interval(measure: Uncertain, critical_value: float) -> tuple[float, float]:
    """Wilson's interval with the effective number of patients. Contains the value; [0, 1] bounds it."""
    share = critical_value**2 / measure.effective_number
    centre = (measure.value + share / 2.0) / (1.0 + share)
    half_width = math.sqrt(share * measure.value * (1.0 - measure.value) + share**2 / 4.0) / (1.0 + share)
    return (
        min(max(centre - half_width, 0.0), measure.value),
        max(min(centre + half_width, 1.0), measure.value),
    )


def share_interval(measure: Uncertain, critical_value: float, confidence: float) -> tuple[float, float]:
    """Wilson's bounds, and where Jeffreys' are wider, halfway to those: for a share of flagged units.

    Shares move in steps. Next to 1 Wilson's bounds are too short at some of them (91 % at 50 units and 0.99), and
    Jeffreys' too wide at others. A critical value beyond the normal one (Student's t) takes its part off the effective
    number of Jeffreys.
    """
    lower, upper = score_interval(measure, critical_value)
    tail = (1.0 - confidence) / 2.0
    number = measure.effective_number * (float(norm.isf(tail)) / critical_value) ** 2
    hits, misses = number * measure.value, number * (1.0 - measure.value)
    low, high = (float(beta.ppf(level, hits + 0.5, misses + 0.5)) for level in (tail, 1.0 - tail))
    return min(lower, (lower + low) / 2.0), max(upper, (upper + high) / 2.0)


def difference_interval(
    first: Uncertain, second: Uncertain, covariance: float, critical_value: float
) -> tuple[float, float]:
    """Bounds of first - second, whose estimates have this covariance; within [-1, 1].

    What only the prior knows of is taken as independent, so without errors the two are not correlated.
    """
    correlation = covariance / math.sqrt(first.paired_variance * second.paired_variance)
    low, high = (score_interval(each, critical_value) for each in (first, second))
    difference = first.value - second.value
    down = _reach(first.value - low[0], high[1] - second.value, correlation)
    up = _reach(low[1] - first.value, second.value - high[0], correlation)
    return difference - down, difference + up


def _reach(first: float, second: float, correlation: float) -> float:
    return math.sqrt(max(first**2 + second**2 - 2.0 * correlation * first * second, 0.0))
