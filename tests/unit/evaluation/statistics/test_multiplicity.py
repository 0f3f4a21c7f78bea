"""Max-t critical values where they are known, and bounds that hold together."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from scipy.stats import t as student

from chex_jobs.evaluation.statistics.multiplicity import (
    critical_values,
    max_t_critical_value,
)


def equicorrelated(size: int, correlation: float) -> np.ndarray:
    return np.full((size, size), correlation) + (1 - correlation) * np.eye(size)


def test_one_comparison_needs_the_ordinary_quantile():
    assert max_t_critical_value(np.array([[4.0]]), 0.95, 0) == pytest.approx(norm.ppf(0.95), abs=0.015)


def test_independent_comparisons_need_sidaks_quantile():
    expected = norm.ppf(0.95 ** (1 / 10))
    assert max_t_critical_value(np.eye(10), 0.95, 0) == pytest.approx(expected, abs=0.015)


def test_comparisons_that_agree_completely_count_as_one():
    assert max_t_critical_value(np.ones((8, 8)), 0.95, 0) == pytest.approx(norm.ppf(0.95), abs=0.015)


@pytest.mark.parametrize("correlation", [0.3, 0.5, 0.9])
def test_correlated_comparisons_reach_the_confidence_exactly(correlation):
    matrix = equicorrelated(5, correlation)
    found = max_t_critical_value(matrix, 0.95, 0)
    reached = multivariate_normal(cov=matrix, seed=1).cdf(np.full(5, found))  # pyright: ignore[reportArgumentType]
    assert reached == pytest.approx(0.95, abs=0.003)


def test_units_of_the_estimates_do_not_matter():
    scale = np.diag([1.0, 100.0, 0.01])
    matrix = equicorrelated(3, 0.5)
    assert max_t_critical_value(scale @ matrix @ scale, 0.95, 0) == pytest.approx(
        max_t_critical_value(matrix, 0.95, 0)
    )


def test_few_degrees_of_freedom_widen_only_their_own_comparison():
    found = critical_values(2.0, np.array([3.0, np.inf]))
    assert found[1] == 2.0
    assert found[0] == pytest.approx(student.isf(norm.sf(2.0), 3))


def test_bounds_hold_together_with_the_confidence():
    rng = np.random.default_rng(0)
    matrix = equicorrelated(6, 0.6) * 0.02**2
    critical = max_t_critical_value(matrix, 0.9, 0)
    estimates = rng.multivariate_normal(np.zeros(6), matrix, size=4000)
    held = (estimates + critical * 0.02 >= 0).all(axis=1).mean()
    assert held == pytest.approx(0.9, abs=0.015)


def test_the_value_does_not_depend_on_the_signs_of_eigenvectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each build of LAPACK chooses them by itself."""
    covariance = np.array([[1.0, 0.6, 0.3], [0.6, 1.0, 0.5], [0.3, 0.5, 2.0]])
    expected = max_t_critical_value(covariance, 0.95, 0)
    eigh = np.linalg.eigh

    def others(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = eigh(matrix)
        return values, vectors * np.array([-1.0, 1.0, -1.0])

    monkeypatch.setattr(np.linalg, "eigh", others)
    assert max_t_critical_value(covariance, 0.95, 0) == pytest.approx(expected, rel=1e-9)
