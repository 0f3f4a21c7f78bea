"""Variance of AUROCs when patients have several films, and covariance of AUROCs measured on the same patients.

Films of one patient are alike, so counting each as independent makes intervals far too narrow: plain DeLong
intervals covered 67-83 % instead of 95 % on the data that this product is for. Obuchowski (1997) sums
DeLong's placements within a patient first. With one film per patient it is DeLong's estimator exactly.

Notation of the paper, used below: patient i has m_i positive and n_i negative units, M and N in all; V10 and
V01 are the placements; I10 and I01 patients have a positive, a negative unit, I have any. With a_i = (sum_j
V10_ij - m_i A) / M and b_i = (sum_k V01_ik - n_i A) / N,

    var(A) = I10/(I10-1) sum a_i^2 + I01/(I01-1) sum b_i^2 + 2 I/(I-1) sum a_i b_i.

A covariance replaces the squares by products of two scorers. ``Influence`` keeps the a_i and b_i with the
square roots of these factors, so that a mean over tasks, draws or seeds is a mean of influences, and any
covariance is a product. With grouped folds each fold is a sample of its own: placements, centres and factors are
those of the fold, weighted by its share of the pairs; ``overlap_of_folds`` adds what the folds' models have in common.

Other measures have the same form: shares and means of units, and average precision by its derivative.

    N. A. Obuchowski, Nonparametric analysis of clustered ROC curve data, Biometrics 53 (1997) 567-578.
    E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44 (1988) 837-845.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chex_jobs.evaluation.statistics.discrimination import (
    BoolArray,
    FloatArray,
    IntArray,
    RankedFold,
    average_precision,
    known_units,
    rank_within_folds,
    why_undefined,
)

LEAST_OVERLAP = 0.5
"""For few folds, whose models are trained on so little that they differ between hospitals."""


@dataclass(frozen=True)
class Influence:
    """A measure in [0, 1], or a mean or difference of such, with what each patient contributes to its error."""

    value: float
    parts: FloatArray
    """[4, P]: a and b scaled for the squared terms, a and b scaled for the cross terms. P patients, zero
    where absent. A mean over units has only the first."""
    degrees_of_freedom: float
    """Effective patients of the smaller class, less one (less one a fold): Student's t instead of the normal
    distribution, without which intervals are a little narrow below about 50 patients (docs/statistics.md)."""
    dispersion: float
    """1 / the effective number of patients, summed over the classes: what the variance would be in units of
    value (1 - value) if every error were a whole patient's. The prior of ``intervals`` is made from it."""

    def __sub__(self, other: Influence) -> Influence:
        freedom = min(self.degrees_of_freedom, other.degrees_of_freedom)
        dispersion = max(self.dispersion, other.dispersion)
        return Influence(self.value - other.value, self.parts - other.parts, freedom, dispersion)


@dataclass(frozen=True)
class CorrelatedAurocs:
    """K AUROCs on the same units with their covariance."""

    aurocs: FloatArray
    """[K]."""
    covariance: FloatArray
    """[K, K]."""

    @property
    def standard_errors(self) -> FloatArray:
        """[K]."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def influences(
    scores: ArrayLike,
    labels: ArrayLike,
    patients: ArrayLike,
    num_patients: int,
    folds: IntArray | None = None,
) -> list[Influence]:
    """The influence of each patient on the AUROC of each of K scorers.

    Args:
        scores: [K, n].
        labels: [n], 1, 0 or NaN (left out).
        patients: [n], numbers in [0, num_patients).
        num_patients: P; the same for all influences that are to be combined.
        folds: [n] the fold in which each unit is tested, so that only pairs within a fold count; ``None`` when
            one model scores all units. A patient's units are in one fold.

    Raises ValueError when a class is missing, or fewer than two patients have one of the classes: the
    variance is then undefined.
    """
    kept, positive = known_units(np.atleast_2d(np.asarray(scores, dtype=np.float64)), labels)
    known = ~np.isnan(np.asarray(labels, dtype=np.float64))
    owner = np.asarray(patients, dtype=np.int64)[known]
    known_folds = None if folds is None else folds[known]
    reason = why_undefined(positive, known_folds)
    if reason:
        raise ValueError(f"AUROC is undefined: {reason}")
    ranked = rank_within_folds(kept, positive, known_folds)
    aurocs = np.sum(
        [each.share_of_pairs * each.placements.of_positives.mean(axis=1) for each in ranked], axis=0
    )
    parts = np.sum([_parts_of_fold(each, aurocs, owner, num_patients) for each in ranked], axis=0)
    if folds is not None:
        parts = parts * np.sqrt(overlap_of_folds(aurocs, len(np.unique(folds))))[:, None, None]
    freedom, dispersion = _sizes(ranked, owner, num_patients)
    return [
        Influence(float(value), parts[scorer], freedom, dispersion) for scorer, value in enumerate(aurocs)
    ]


def overlap_of_folds(aurocs: FloatArray, num_folds: int) -> FloatArray:
    """What the variance over folds is multiplied by, because their models share training patients, for AUROCs [K].

    Of two patients in different folds one helps to train the model that the other is tested with, and mostly the
    other way round too (not where one fold validates for the other): of k - 2 training folds k - 3 are paired. The luck
    of such a pair counts twice. Where models learn little (AUROC 0.5) that is all there is, and where they learn so
    much that one patient more or less changes nothing it is nothing. No unbiased estimate exists (Bengio and Grandvalet
    2004); this is what holds in docs/statistics.md.
    """
    paired = max((num_folds - 3) / max(num_folds - 2, 1), LEAST_OVERLAP)
    return 1.0 + paired * 4.0 * aurocs * (1.0 - aurocs)


def _parts_of_fold(fold: RankedFold, aurocs: FloatArray, owner: IntArray, num_patients: int) -> FloatArray:
    """[K, 4, P] from the placements of one fold, whose share of the AUROCs [K] is its share of the pairs."""
    patients = owner[fold.rows]
    num_patients_in_fold = len(np.unique(patients))
    cross = num_patients_in_fold / (num_patients_in_fold - 1) if num_patients_in_fold > 1 else 1.0
    own = fold.placements.of_positives.mean(axis=1)
    parts = np.empty((len(aurocs), 4, num_patients))
    for place, found, chosen in (
        (0, fold.placements.of_positives, fold.positive),
        (1, fold.placements.of_negatives, ~fold.positive),
    ):
        count = len(np.unique(patients[chosen]))
        # A single patient of a class is no spread around the fold's own mean, but has one around all folds'.
        centre, factor = (own, count / (count - 1)) if count > 1 else (aurocs, 1.0)
        shares = fold.share_of_pairs * (found - centre[:, None]) / found.shape[1]
        for scorer, row in enumerate(shares):
            sums = np.bincount(patients[chosen], weights=row, minlength=num_patients)
            parts[scorer, place] = np.sqrt(factor) * sums
            parts[scorer, place + 2] = np.sqrt(cross) * sums
    return parts


def _sizes(ranked: Sequence[RankedFold], owner: IntArray, num_patients: int) -> tuple[float, float]:
    """Degrees of freedom and dispersion of an AUROC: the smaller class decides on the first, both add to the second."""
    freedoms, dispersion = [], 0.0
    for positive in (True, False):
        weights, patients, centres = [], [], 0
        for fold in ranked:
            mine = owner[fold.rows][fold.positive == positive]
            weights.append(np.full(mine.size, fold.share_of_pairs / mine.size))
            patients.append(mine)
            centres += len(np.unique(mine)) > 1
        people = np.concatenate(patients)
        if len(np.unique(people)) < 2:
            raise ValueError("the variance of an AUROC needs two patients in each class")
        size, part = _effective(np.concatenate(weights), people, num_patients)
        freedoms.append(max(size - max(centres, 1), 1.0))
        dispersion += part
    return min(freedoms), dispersion


def _effective(weights: FloatArray, owner: IntArray, num_patients: int) -> tuple[float, float]:
    """Effective number of patients behind weights [n] that sum to 1, and their dispersion.

    The number counts films of a patient as one; the dispersion lies halfway between that and counting each film,
    which is about what errors of one patient share.
    """
    of_patients = float(np.sum(np.bincount(owner, weights=weights, minlength=num_patients) ** 2))
    return 1.0 / of_patients, (of_patients + float(np.sum(weights**2))) / 2.0


def mean_of_units(values: FloatArray, patients: IntArray, num_patients: int) -> list[Influence]:
    """Means over units of K rows of values in [0, 1], such as shares of flagged units: [K, n] of ``patients`` [n].

    Raises ValueError with fewer than two patients.
    """
    count = len(np.unique(patients))
    if count < 2:
        raise ValueError("the variance of a mean needs two patients")
    size, dispersion = _effective(np.full(patients.size, 1.0 / patients.size), patients, num_patients)
    result = []
    for row in np.atleast_2d(values):
        value = float(row.mean())
        parts = np.zeros((4, num_patients))
        sums = np.bincount(patients, weights=(row - value) / row.size, minlength=num_patients)
        parts[0] = np.sqrt(count / (count - 1)) * sums
        result.append(Influence(value, parts, max(size - 1.0, 1.0), dispersion))
    return result


def average_precisions(
    scores: FloatArray, positive: BoolArray, patients: IntArray, num_patients: int
) -> list[Influence]:
    """Average precisions of K scorers [K, n] of units with both classes, by the derivative at each patient.

    Patients with and without a positive are two samples: each is centred on its own mean.
    """
    size, dispersion = _effective(
        np.full(int(positive.sum()), 1.0 / positive.sum()), patients[positive], num_patients
    )
    # At a prevalence next to 1 average precision has nowhere to fall to, whatever the ranking.
    dispersion *= 1.0 - float(positive.mean())
    present = np.bincount(patients, minlength=num_patients) > 0
    with_positive = np.bincount(patients[positive], minlength=num_patients) > 0
    result = []
    for row in np.atleast_2d(scores):
        value, derivative = average_precision(row, positive)
        sums = np.bincount(patients, weights=derivative, minlength=num_patients)
        parts = np.zeros((4, num_patients))
        for place, chosen in enumerate((with_positive, present & ~with_positive)):
            count = max(int(chosen.sum()), 1)
            factor = np.sqrt(count / (count - 1)) if count > 1 else 1.0
            parts[place] = factor * np.where(chosen, sums - sums[chosen].sum() / count, 0.0)
        result.append(Influence(value, parts, max(size - 1.0, 1.0), dispersion))
    return result


def tail_degrees_of_freedom(influence: Influence) -> float:
    """Degrees of freedom of an estimated variance whose patients contribute unequally.

    A sum of squares of which a few patients make most varies like one of few patients: with q = sum of squares and f =
    sum of fourth powers of one class's n contributions its variance is f - q^2/n, that of normal ones 2 q^2/n. It
    matters far out in the tail, where bounds lie that hold for many arms together. At least 1.
    """
    squares, spread = 0.0, 0.0
    for row in influence.parts[:2]:
        count = max(int(np.count_nonzero(row)), 1)
        of_class = float(np.sum(row**2))
        squares += of_class
        spread += float(np.sum(row**4)) - of_class**2 / count
    return max(2.0 * squares**2 / spread, 1.0) if spread > 0.0 else float("inf")


def mean_influence(items: Sequence[Influence]) -> Influence:
    """The influence on the mean of several measures, of tasks, draws or seeds, on the same patients."""
    return Influence(
        float(np.mean([each.value for each in items])),
        np.mean([each.parts for each in items], axis=0),
        min(each.degrees_of_freedom for each in items),
        float(np.mean([each.dispersion for each in items])),
    )


def covariance(items: Sequence[Influence]) -> FloatArray:
    """Covariance [K, K] over the sampling of patients. Symmetric and positive semi-definite up to rounding."""
    a, b, cross_a, cross_b = np.stack([each.parts for each in items], axis=1)
    cross = cross_a @ cross_b.T
    return a @ a.T + b @ b.T + cross + cross.T


def obuchowski(scores: ArrayLike, labels: ArrayLike, patients: ArrayLike) -> CorrelatedAurocs:
    """AUROCs of K scorers [K, n] (or one, [n]) with their clustered covariance.

    ``patients`` [n] are any integers. Raises ValueError as ``influences``.
    """
    numbers, dense = np.unique(np.asarray(patients), return_inverse=True)
    items = influences(scores, labels, dense, len(numbers))
    return CorrelatedAurocs(np.array([each.value for each in items]), covariance(items))


def delong(scores: ArrayLike, labels: ArrayLike) -> CorrelatedAurocs:
    """The same with every unit its own patient. Only right where patients have one film each."""
    return obuchowski(scores, labels, np.arange(np.asarray(labels).size))
