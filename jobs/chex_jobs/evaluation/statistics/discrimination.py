"""How well scores separate two classes: AUROC and AUPRC, and where they are undefined.

Scores are any real numbers, higher for positive. Labels are 1, 0 or NaN (unknown: the unit is left out).
Both measures are undefined when a class is missing; then the value is ``None`` with a reason, never 0 or 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

NO_UNITS = "No unit has a known label."
NO_POSITIVES = "No unit is positive."
NO_NEGATIVES = "No unit is negative."
NO_FOLD_WITH_BOTH = "No fold has both classes among its test units."


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


@dataclass(frozen=True)
class RankedFold:
    """The units of one fold, ranked among themselves. Without folds all units are one."""

    rows: IntArray
    """[m] positions of its units."""
    positive: BoolArray
    """[m] of them."""
    placements: Placements
    """[..., M] and [..., N] within the fold."""
    share_of_pairs: float
    """Its pairs of a positive and a negative among those of all folds; the shares sum to 1."""


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


def why_undefined(positive: BoolArray, folds: IntArray | None = None) -> str:
    """The reason why AUROC and AUPRC are undefined for these labels [n]; empty when they are defined.

    With ``folds`` [n] some fold must hold both classes, as units of different folds are not compared.
    """
    if positive.size == 0:
        return NO_UNITS
    if not positive.any():
        return NO_POSITIVES
    if positive.all():
        return NO_NEGATIVES
    return "" if _folds_with_both(positive, folds) else NO_FOLD_WITH_BOTH


def _folds_with_both(positive: BoolArray, folds: IntArray | None) -> list[IntArray]:
    """Positions of the units of each fold that has both classes."""
    if folds is None:
        return [np.arange(positive.size)] if 0 < positive.sum() < positive.size else []
    members = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    return [rows for rows in members if 0 < positive[rows].sum() < rows.size]


def in_compared_folds(positive: BoolArray, folds: IntArray | None) -> BoolArray:
    """[n] whether a unit is in a fold that has both classes, so that it is in a pair; all are where one model scores all."""
    chosen = np.zeros(positive.size, dtype=np.bool_)
    for rows in _folds_with_both(positive, folds):
        chosen[rows] = True
    return chosen if folds is not None else np.ones(positive.size, dtype=np.bool_)


def rank_within_folds(
    scores: FloatArray, positive: BoolArray, folds: IntArray | None
) -> tuple[RankedFold, ...]:
    """Ranks the units of each fold among themselves; a fold that lacks a class has no pair and is left out.

    Each fold is scored by a model of its own, and scores of different models do not rank together: pooled, they
    make an AUROC too low. Pairs are counted within a fold only, as in a test stratified by fold.

    Args:
        scores: [..., n].
        positive: [n].
        folds: [n] the fold in which each unit is tested; ``None`` when one model scores all.
    """
    parts = _folds_with_both(positive, folds)
    pairs = [int(positive[rows].sum()) * int((~positive[rows]).sum()) for rows in parts]
    return tuple(
        RankedFold(rows, positive[rows], placements(scores[..., rows], positive[rows]), number / sum(pairs))
        for rows, number in zip(parts, pairs, strict=True)
    )


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


def auroc(scores: ArrayLike, labels: ArrayLike, folds: IntArray | None = None) -> Measured:
    """Area under the ROC curve of one scorer: the chance that a positive outscores a negative, a tie counting half.

    ``scores`` and ``labels`` are [n]; with ``folds`` [n] only pairs within a fold count. Raises ValueError as
    ``known_units``.
    """
    kept, positive = known_units(scores, labels)
    known_folds = None if folds is None else folds[~np.isnan(np.asarray(labels, dtype=np.float64))]
    reason = why_undefined(positive, known_folds)
    if reason:
        return Measured(None, reason)
    ranked = rank_within_folds(kept, positive, known_folds)
    return Measured(float(sum(each.share_of_pairs * each.placements.of_positives.mean() for each in ranked)))


def mean_of_defined(values: Sequence[float | None]) -> float | None:
    """Mean of the values that exist; ``None`` when none does."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def mean_over_folds(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """One value of several folds' values, each weighted by what it was counted on; ``None`` when no fold has one.

    AUROCs are weighted by their pairs of a positive and a negative, which gives the share of right pairs among all
    pairs within folds, average precisions by their positives.
    """
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    if not known:
        return None
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known)


def auprc(scores: ArrayLike, labels: ArrayLike) -> Measured:
    """Average precision of one scorer: the sum over thresholds of precision times the gain in recall.

    No interpolation (that would be optimistic: Davis and Goadrich 2006); tied scores are one threshold.
    ``scores`` and ``labels`` are [n]. Raises ValueError as ``known_units``.
    """
    kept, positive = known_units(scores, labels)
    reason = why_undefined(positive)
    if reason:
        return Measured(None, reason)
    return Measured(average_precision(kept, positive)[0])


def average_precision(scores: FloatArray, positive: BoolArray) -> tuple[float, FloatArray]:
    """Average precision of units [n] that have a positive, and its derivative by the weight of each unit [n].

    With weights w it is sum_i w_i T_i / F_i over positives i, by sum_i w_i, where T_i and F_i are the weights of
    positives and of all units scored at least as high. The derivative (infinitesimal jackknife) is what one more
    copy of a unit adds; it sums to 0 over the units.
    """
    order = np.argsort(-scores, kind="stable")
    descending, of_positives = -scores[order], positive[order]
    # Tied units are flagged together: each counts as flagged from its tie's last place on.
    last = np.searchsorted(descending, descending, side="right") - 1
    first = np.searchsorted(descending, descending, side="left")
    flagged = (last + 1).astype(np.float64)
    precision = np.cumsum(of_positives)[last] / flagged
    num_positive = int(positive.sum())
    value = float(precision[of_positives].mean())
    # A unit changes T and F of every positive that is scored as high or lower.
    caught = np.cumsum(np.where(of_positives, 1.0 / flagged, 0.0)[::-1])[::-1][first]
    diluted = np.cumsum(np.where(of_positives, precision / flagged, 0.0)[::-1])[::-1][first]
    change = np.where(of_positives, precision - value + caught, 0.0) - diluted
    derivative = np.empty(scores.size)
    derivative[order] = change / num_positive
    return value, derivative
