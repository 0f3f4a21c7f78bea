"""How well scores separate two classes: AUROC and AUPRC, and where they are undefined.

Scores are any real numbers, higher for positive. Labels are 1, 0 or NaN (unknown: the unit is left out).
Both measures are undefined when a class is missing; then the value is ``None`` with a reason, never 0 or 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
WeightArray = NDArray[np.float32] | NDArray[np.float64]
"""float32 holds whole numbers up to 16 million exactly, more than a test set has units."""

NO_UNITS = "No unit has a known label."
NO_POSITIVES = "No unit is positive."
NO_NEGATIVES = "No unit is negative."


@dataclass(frozen=True)
class Measured:
    """A value, or the reason why there is none."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Placements:
    """DeLong's structural components: for each unit the share of the other class that it is ranked right against."""

    of_positives: FloatArray
    """[..., M] share of negatives scored below each positive; a tie counts half."""
    of_negatives: FloatArray
    """[..., N] share of positives scored above each negative; a tie counts half."""


def known_units(scores: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Drops units with an unknown label.

    Args:
        scores: [n] or [K, n].
        labels: [n], each 1, 0 or NaN.

    Returns the scores of the remaining units and their labels as booleans. Raises ValueError when shapes
    differ, a label is neither 1, 0 nor NaN, or a score of a labelled unit is not finite.
    """
    score_array = np.asarray(scores, dtype=np.float64)
    label_array = np.asarray(labels, dtype=np.float64)
    if label_array.ndim != 1 or score_array.shape[-1:] != label_array.shape:
        raise ValueError(
            f"scores {score_array.shape} and labels {label_array.shape} do not belong to the same units"
        )
    known = ~np.isnan(label_array)
    kept, kept_labels = score_array[..., known], label_array[known]
    if not np.isin(kept_labels, (0.0, 1.0)).all():
        raise ValueError(
            f"labels must be 1, 0 or NaN; found {kept_labels[~np.isin(kept_labels, (0.0, 1.0))][0]}"
        )
    if not np.isfinite(kept).all():
        raise ValueError(
            f"{np.size(kept) - int(np.isfinite(kept).sum())} scores of labelled units are not finite"
        )
    return kept, kept_labels == 1.0


def why_undefined(positive: BoolArray) -> str:
    """The reason why AUROC and AUPRC are undefined for these labels; empty when they are defined."""
    if positive.size == 0:
        return NO_UNITS
    if not positive.any():
        return NO_POSITIVES
    return NO_NEGATIVES if positive.all() else ""


def placements(scores: FloatArray, positive: BoolArray) -> Placements:
    """Placements by midranks, O(n log n) for each row of ``scores`` [..., n] (Sun and Xu 2014).

    A unit's rank among all minus its rank within its own class counts the other class below it.
    """
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    overall = rankdata(scores, axis=-1)
    among_positives = rankdata(scores[..., positive], axis=-1)
    among_negatives = rankdata(scores[..., ~positive], axis=-1)
    return Placements(
        of_positives=(overall[..., positive] - among_positives) / num_negative,
        of_negatives=1.0 - (overall[..., ~positive] - among_negatives) / num_positive,
    )


def auroc(scores: ArrayLike, labels: ArrayLike) -> Measured:
    """Area under the ROC curve of one scorer: the chance that a positive outscores a negative, a tie counting half.

    ``scores`` and ``labels`` are [n]. Raises ValueError as ``known_units``.
    """
    kept, positive = known_units(scores, labels)
    reason = why_undefined(positive)
    if reason:
        return Measured(None, reason)
    return Measured(float(placements(kept, positive).of_positives.mean()))


def auprc(scores: ArrayLike, labels: ArrayLike) -> Measured:
    """Average precision of one scorer: the sum over thresholds of precision times the gain in recall.

    No interpolation (that would be optimistic: Davis and Goadrich 2006); tied scores are one threshold.
    ``scores`` and ``labels`` are [n]. Raises ValueError as ``known_units``.
    """
    kept, positive = known_units(scores, labels)
    reason = why_undefined(positive)
    if reason:
        return Measured(None, reason)
    return Measured(float(weighted_average_precision(kept, positive, np.ones((kept.size, 1)))[0]))


def weighted_average_precision(scores: FloatArray, positive: BoolArray, weights: WeightArray) -> FloatArray:
    """Average precision under many weightings of the same units at once.

    Args:
        scores: [n].
        positive: [n].
        weights: [n, B], not negative, whole numbers for exact sums; each column gives some positive unit a weight.

    Returns [B]: for each positive unit the precision at its own score, weighted.
    """
    order = np.argsort(-scores, kind="stable")
    tied_until = np.searchsorted(-scores[order], -scores[order], side="right") - 1
    positives = np.flatnonzero(positive[order])
    ordered = weights[order]
    flagged = np.cumsum(ordered, axis=0)[tied_until[positives]]
    own = ordered[positives]
    caught = np.cumsum(own, axis=0)
    caught_with_ties = caught[np.searchsorted(positives, tied_until[positives], side="right") - 1]
    precision = np.divide(caught_with_ties, flagged, out=np.zeros_like(flagged), where=flagged > 0)
    return np.einsum("ij,ij->j", own, precision, dtype=np.float64) / caught[-1]
