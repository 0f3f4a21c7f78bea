"""ROC and precision-recall curves, thinned for printing."""

from __future__ import annotations

import numpy as np

from chex_jobs.evaluation.results.schema import ArmKey, Curve
from chex_jobs.evaluation.statistics.discrimination import BoolArray, FloatArray

MAX_POINTS = 200


def roc_and_pr_curves(arm: ArmKey, task: str, logits: FloatArray, positive: BoolArray) -> tuple[Curve, Curve]:
    """Both curves on units [n] that have both classes; one point for each different score, then thinned evenly."""
    order = np.argsort(-logits, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(logits[order]) != 0, True))
    caught, flagged = np.cumsum(positive[order])[ends], ends + 1
    recall = caught / positive.sum()
    false_positive_rate = (flagged - caught) / (~positive).sum()
    roc = _thin(np.append(0.0, false_positive_rate), np.append(0.0, recall))
    precision_recall = _thin(recall, caught / flagged)
    return Curve(arm, task, "ROC", *roc), Curve(arm, task, "PR", *precision_recall)


def _thin(x: FloatArray, y: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(MAX_POINTS, len(x))).round().astype(np.int64))
    return tuple(float(v) for v in x[kept]), tuple(float(v) for v in y[kept])
