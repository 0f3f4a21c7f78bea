"""Bounds that hold for many comparisons at once (max-t).

When the best of 40 arms is picked, 40 separate 95 % bounds mislead. The distribution of the largest of the
correlated t statistics gives one critical value for which *all* bounds hold together with the wanted
confidence; strongly correlated arms, as here on the same patients, cost little (Hothorn, Bretz and Westfall
2008; the max-t of Westfall and Young 1993).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from chex_jobs.evaluation.statistics.discrimination import FloatArray

NUM_SIMULATIONS = 100_000
"""Puts the critical value at 95 % within about 0.01 of the exact one."""
CHUNK = 10_000


def max_t_critical_value(covariance: FloatArray, confidence: float, seed: int) -> float:
    """C with P(max_k Z_k <= c) = confidence, Z normal with the correlation of ``covariance`` [K, K].

    Comparisons without variance do not count. By seeded simulation: equal arguments give the equal value.
    """
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    moving = errors > 0
    if moving.sum() <= 1:
        return float(norm.ppf(confidence))
    correlation = covariance[np.ix_(moving, moving)] / np.outer(errors[moving], errors[moving])
    # A correlation matrix of arms that agree is singular: eigenvalues, unlike Cholesky, do not mind.
    values, vectors = np.linalg.eigh(correlation)
    # The symmetric root does not depend on the signs of eigenvectors, which are the linear algebra library's choice.
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    rng = np.random.default_rng(seed)
    largest = [
        (rng.standard_normal((CHUNK, len(values))) @ root).max(axis=1)
        for _ in range(NUM_SIMULATIONS // CHUNK)
    ]
    return float(np.quantile(np.concatenate(largest), confidence))


def critical_values(shared: float, degrees_of_freedom: FloatArray) -> FloatArray:
    """The max-t value for each of K comparisons with its own degrees of freedom [K], which may be infinite.

    Degrees of freedom that differ keep the level of the max-t value and take each comparison's own t
    quantile, which is exact for t statistics joined by a Gaussian copula (compare Hasler and Hothorn 2008).
    """
    critical = np.full(len(degrees_of_freedom), shared)
    finite = np.isfinite(degrees_of_freedom)
    critical[finite] = student.isf(norm.sf(shared), degrees_of_freedom[finite])
    return critical
