"""What a fit is worth on validation patients: the one number that searches, ranks and stops."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chex_api.dataset import ScoringUnit
from chex_jobs.evaluation.statistics.aggregation import map_units, mean_logits, unit_labels
from chex_jobs.evaluation.statistics.discrimination import auprc, auroc


@dataclass(frozen=True)
class ValidationSet:
    """Labelled validation films of one draw, and how they form the units that are scored."""

    films: NDArray[np.int64]
    """[N] film ordinals."""
    studies: NDArray[np.int64]
    """[N]"""
    patients: NDArray[np.int64]
    """[N]"""
    labels: NDArray[np.float32]
    """[N, T]: 1 present, 0 absent, NaN unknown."""
    unit: ScoringUnit
    metric: str
    """`AUROC` or `AUPRC`."""

    def score(self, logits: NDArray[np.floating[Any]]) -> dict[str, Any]:
        """The score of logits [N, T] as plain JSON.

        `value`: the sweep's metric, mean over the tasks with both classes, null without any; `loss`: masked
        cross-entropy, mean over the tasks with known labels; `AUROC`, `AUPRC`: by task, null where undefined;
        `positives`, `negatives`: units by task, with which folds are joined.
        Raises ValueError when a logit of a labelled unit is not finite.
        """
        units = map_units(self.unit, self.films, self.studies, self.patients)
        scores, labels = (
            mean_logits(units, logits.astype(np.float64)),
            unit_labels(units, self.labels.astype(np.float64)),
        )
        tasks = range(labels.shape[1])
        by_metric = {
            "AUROC": [auroc(scores[:, task], labels[:, task]).value for task in tasks],
            "AUPRC": [auprc(scores[:, task], labels[:, task]).value for task in tasks],
        }
        counts = {
            "positives": (labels == 1.0).sum(axis=0).tolist(),
            "negatives": (labels == 0.0).sum(axis=0).tolist(),
        }
        value, loss = _mean(by_metric[self.metric]), _mean(_losses(scores, labels))
        return {"value": value, "loss": loss, **by_metric, **counts}


def _losses(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> list[float | None]:
    """Mean cross-entropy of each task over its known labels; None for a task without any."""
    known = ~np.isnan(labels)
    cells = np.logaddexp(0.0, np.where(labels == 1, -scores, scores))
    return [
        float(cells[known[:, task], task].mean()) if known[:, task].any() else None
        for task in range(labels.shape[1])
    ]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
