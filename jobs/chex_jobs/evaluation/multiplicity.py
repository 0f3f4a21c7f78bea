"""Bounds that hold for many comparisons at once (max-t).

When the best of 40 arms is picked, 40 separate 95 % bounds mislead. The distribution of the largest of the
correlated t statistics gives one critical value for which *all* bounds hold together with the wanted
confidence; strongly correlated arms, as here on the same patients, cost little (Hothorn, Bretz and Westfall
2008; the max-t of Westfall and Young 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from chex_jobs.evaluation.discrimination import FloatArray

NUM_SIMULATIONS = 100_000
"""Puts the critical value at 95 % within about 0.01 of the exact one."""
CHUNK = 10_000


@dataclass(frozen=True)
class SimultaneousBounds:
    """One-sided bounds; the lower ones hold together with the confidence, and so do the upper ones."""

    lower: FloatArray
    """[K]."""
    upper: FloatArray
    """[K]."""
    critical_value: float
    """For normal errors; a comparison with few degrees of freedom uses Student's quantile at the same
    level."""


def max_t_critical_value(covariance: FloatArray, confidence: float, seed: int) -> float:
    """C with P(max_k Z_k <= c) = confidence, Z normal with the correlation of ``covariance`` [K, K].

    Comparisons without variance do not count. By seeded simulation: equal arguments give the equal value.
    """
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    moving = errors > 0
    if not moving.any():
        return float(norm.ppf(confidence))
    correlation = covariance[np.ix_(moving, moving)] / np.outer(errors[moving], errors[moving])
    # A correlation matrix of arms that agree is singular: eigenvalues, unlike Cholesky, do not mind.
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.default_rng(seed)
    largest = [
        (rng.standard_normal((CHUNK, len(values))) @ root.T).max(axis=1)
        for _ in range(NUM_SIMULATIONS // CHUNK)
    ]
    return float(np.quantile(np.concatenate(largest), confidence))


def simultaneous_bounds(
    values: FloatArray,
    covariance: FloatArray,
    confidence: float,
    *,
    degrees_of_freedom: FloatArray | None = None,
    seed: int = 0,
) -> SimultaneousBounds:
    """Simultaneous one-sided bounds of K estimates.

    Args:
        values: [K].
        covariance: [K, K] of the estimates.
        confidence: in (0, 1), for all upper bounds together, and for all lower bounds together.
        degrees_of_freedom: [K], infinite for a large-sample variance; ``None``: all are.
        seed: of the simulation.

    Degrees of freedom that differ keep the level of the max-t value and take each comparison's own t
    quantile, which is exact for t statistics joined by a Gaussian copula (compare Hasler and Hothorn 2008).
    """
    shared = max_t_critical_value(covariance, confidence, seed)
    critical = np.full(len(values), shared)
    if degrees_of_freedom is not None:
        finite = np.isfinite(degrees_of_freedom)
        critical[finite] = student.isf(norm.sf(shared), degrees_of_freedom[finite])
    reach = critical * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return SimultaneousBounds(values - reach, values + reach, shared)
