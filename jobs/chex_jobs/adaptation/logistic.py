"""L2-regularised logistic regression on frozen features, along a whole path of penalties: the linear probe.

For each task, over the rows whose label is known, the probe minimises

    C * sum_i log(1 + exp(-y_i (x_i . w + b))) + |w|^2 / 2        y in {-1, +1}, b not penalised

on features divided by one global standard deviation (Kumar et al., arXiv 2202.10054), which is folded back into the
weights, so that a head applies to raw features. The problem is strictly convex in w: no seed enters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

MAX_ITERATIONS = 200
GRADIENT_TOLERANCE = 1e-5
"""Largest entry of the gradient in preconditioned coordinates, where the Hessian is about 1: so it is about the error
of the solution there. Logits then agree with scikit-learn's at a far smaller tolerance to about 1e-4 of their range."""


@dataclass(frozen=True)
class Path:
    """Heads along the path of penalties, for raw features: logits = features @ weight[c].T + bias[c]."""

    weight: NDArray[np.float32]
    """[C, T, D]"""
    bias: NDArray[np.float32]
    """[C, T]"""

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """[C, N, T] for features [N, D]."""
        return np.einsum("nd,ctd->cnt", features.astype(np.float64), self.weight) + self.bias[:, None, :]


def fit_path(
    features: NDArray[np.float32], labels: NDArray[np.float32], c_values: Sequence[float], device: str = "cpu"
) -> Path:
    """Fit every task at every C; each fit starts from the solution at the C before it.

    Args:
        features: [N, D], finite.
        labels: [N, T]; 1 present, 0 absent, NaN unknown.
        c_values: inverse strengths of the penalty, rising.
        device: where the products with the features are computed.

    A task without both classes gets weight 0 and the bias of its only class's log-odds with one count added to each
    class, so that its logit is constant and finite.
    """
    basis = _Basis.of(torch.from_numpy(features).to(device, torch.float64))
    num_tasks, dim = labels.shape[1], features.shape[1]
    weight = np.zeros((len(c_values), num_tasks, dim))
    bias = np.zeros((len(c_values), num_tasks))
    for task in range(num_tasks):
        known = ~np.isnan(labels[:, task])
        targets = labels[known, task].astype(np.float64)
        positives = targets.sum()
        if positives in (0, len(targets)):
            bias[:, task] = np.log((positives + 1) / (len(targets) - positives + 1))
            continue
        solution = np.zeros(basis.rank + 1)
        rows = _Rows(basis, known, targets)
        for i, c in enumerate(c_values):
            solution = rows.fit(c, solution)
            weight[i, task], bias[i, task] = basis.raw(solution)
    return Path(weight.astype(np.float32), bias.astype(np.float32))


@dataclass(frozen=True)
class _Basis:
    """Centred, scaled features in coordinates along their principal axes.

    Rotating w changes neither penalty nor fit, and the optimum lies in the span of the rows, so N films need at most N
    coordinates. Centring is absorbed by the bias, which is not penalised. Along principal axes the Hessian is nearly
    diagonal, which is what makes a diagonal preconditioner good.
    """

    rows: Tensor
    """[N, R], float64."""
    axes: Tensor
    """[D, R], orthonormal."""
    mean: Tensor
    """[D]"""
    scale: float
    """Global standard deviation by which features are divided."""

    @classmethod
    def of(cls, features: Tensor) -> "_Basis":
        scale = float(features.std(correction=0)) or 1.0
        mean = features.mean(dim=0)
        centred = (features - mean) / scale
        if len(centred) < centred.shape[1]:
            _, _, axes_t = torch.linalg.svd(centred, full_matrices=False)
            axes = axes_t.T
        else:
            _, axes = torch.linalg.eigh(centred.T @ centred)
        return cls(centred @ axes, axes.contiguous(), mean, scale)

    @property
    def rank(self) -> int:
        return self.rows.shape[1]

    def raw(self, solution: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Weight [D] and bias for raw features of a solution [R + 1] in these coordinates (bias last)."""
        along = torch.from_numpy(solution[:-1]).to(self.axes.device)
        weight = (self.axes @ along) / self.scale
        return weight.cpu().numpy(), float(solution[-1] - weight @ self.mean)


class _Rows:
    """The rows of one task, and its fits."""

    def __init__(self, basis: _Basis, known: NDArray[np.bool_], targets: NDArray[np.float64]) -> None:
        device = basis.rows.device
        self._x = basis.rows if known.all() else basis.rows[torch.from_numpy(known).to(device)]
        self._sign = torch.from_numpy(2 * targets - 1).to(device)
        self._squares = self._x * self._x

    def fit(self, c: float, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """The optimum [R + 1] at `c` (bias last), begun at `start`."""
        step = 1.0 / np.sqrt(self._hessian_diagonal(c, start))

        def objective(z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, gradient = self._loss(c, z * step)
            return value, gradient * step

        found = minimize(
            objective,
            start / step,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MAX_ITERATIONS, "gtol": GRADIENT_TOLERANCE, "ftol": 0.0, "maxcor": 20},
        )
        return found.x * step

    def _hessian_diagonal(self, c: float, solution: NDArray[np.float64]) -> NDArray[np.float64]:
        weight = torch.from_numpy(solution[:-1]).to(self._x.device)
        chance = torch.sigmoid(self._x @ weight + solution[-1])
        curvature = chance * (1 - chance)
        along = 1.0 + c * (self._squares.T @ curvature).cpu().numpy()
        # Where every row is certain the loss is flat along the bias; the second term keeps the step finite.
        return np.append(along, c * (float(curvature.sum()) + 1e-3 * len(curvature)))

    def _loss(self, c: float, solution: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight = torch.from_numpy(solution[:-1]).to(self._x.device)
        margin = self._sign * (self._x @ weight + solution[-1])
        slope = -self._sign * torch.sigmoid(-margin)
        value = c * float(torch.nn.functional.softplus(-margin).sum()) + 0.5 * float(weight @ weight)
        gradient = c * (self._x.T @ slope) + weight
        return value, np.append(gradient.cpu().numpy(), c * float(slope.sum()))
