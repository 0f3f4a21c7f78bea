"""Whether predicted probabilities can be taken at their word, and sensitivity at a fixed specificity.

Everything that is chosen (slope, intercept, threshold) is chosen on validation; what validation itself says of it
is cross-fitted by patient, so that no patient is judged with a threshold made from that patient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit
from scipy.stats import rankdata

from chex_jobs.evaluation.results.schema import ReliabilityBin
from chex_jobs.evaluation.statistics.discrimination import BoolArray, FloatArray

IntArray = NDArray[np.int64]
NUM_BINS = 10
MIN_PATIENTS_IN_BIN = 10
NUM_CROSS_FITS = 5


@dataclass(frozen=True)
class Operating:
    """What a threshold achieves."""

    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class CalibrationLine:
    """How labels follow calibrated logits (Cox 1958). A perfect model has slope 1 and intercept 0."""

    slope: float
    """Of a logistic regression of labels on logits; below 1: too extreme."""
    intercept: float
    """With the slope fixed at 1; above 0: risks are underestimated."""


def squared_errors(logits: FloatArray, positive: BoolArray) -> FloatArray:
    """[..., n] squared errors of the probabilities of units [n]; their mean is the Brier score."""
    return (expit(logits) - positive) ** 2


def expected_calibration_error(logits: FloatArray, positive: BoolArray) -> float:
    """Mean distance of predicted and observed rate over ten bins of equal mass (units [n], n > 0).

    Biased upwards: even a perfect model has about sqrt(p (1-p) bins / n) of it.
    """
    probabilities = expit(logits)
    gaps = [abs(probabilities[part].mean() - positive[part].mean()) * part.size for part in _bins(logits)]
    return float(sum(gaps) / logits.size)


def reliability_curve(
    logits: FloatArray, positive: BoolArray, patients: IntArray
) -> tuple[ReliabilityBin, ...]:
    """Bins of equal mass of units [n]; a bin with fewer than 10 patients is joined to the next."""
    groups: list[IntArray] = []
    held: IntArray = np.empty(0, dtype=np.int64)
    for part in _bins(logits):
        held = np.concatenate([held, part])
        if len(np.unique(patients[held])) >= MIN_PATIENTS_IN_BIN:
            groups.append(held)
            held = held[:0]
    if held.size and groups:
        groups[-1] = np.concatenate([groups[-1], held])
    probabilities = expit(logits)
    return tuple(
        ReliabilityBin(float(probabilities[group].mean()), float(positive[group].mean()), len(group))
        for group in groups
    )


def _bins(logits: FloatArray) -> list[IntArray]:
    """Positions of the units of each bin, lowest first. Equal logits share a bin, so no order of units matters."""
    place = np.floor((rankdata(logits) - 0.5) / logits.size * NUM_BINS)
    return [np.flatnonzero(place == each) for each in np.unique(place)]


def calibration_line(logits: FloatArray, positive: BoolArray) -> CalibrationLine | None:
    """Slope and intercept on units [n]. ``None`` when a class is missing or the classes are separable."""
    if positive.all() or not positive.any():
        return None
    lowest_positive, highest_negative = logits[positive].min(), logits[~positive].max()
    if lowest_positive >= highest_negative or logits[positive].max() <= logits[~positive].min():
        return None  # The likelihood has no maximum.
    signs = np.where(positive, 1.0, -1.0)
    spread = logits.std()
    centred = (logits - logits.mean()) / spread

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        margin = signs * (parameters[0] * centred + parameters[1])
        residual = -signs * expit(-margin)
        return float(-log_expit(margin).sum()), np.array([np.sum(residual * centred), np.sum(residual)])

    slope = float(minimize(loss, np.zeros(2), jac=True, method="BFGS").x[0]) / float(spread)
    return CalibrationLine(slope, _intercept(logits, positive))


def _intercept(logits: FloatArray, positive: BoolArray) -> float:
    """The shift that makes the mean probability equal the observed rate, by Newton's method from the rate's own shift."""
    rate = float(positive.mean())
    shift = float(logit(rate) - np.median(logits))
    for _ in range(100):
        probabilities = expit(logits + shift)
        step = (rate - probabilities.mean()) / max(float((probabilities * (1 - probabilities)).mean()), 1e-12)
        shift += float(np.clip(step, -2.0, 2.0))
        if abs(step) < 1e-10:
            break
    return shift


def threshold_at_specificity(logits: FloatArray, positive: BoolArray, specificity: float) -> float | None:
    """Smallest threshold that leaves at least this share of negatives below it; a unit is flagged from it upwards.

    It lies halfway to the next score above, or just above the highest. ``None`` without a negative or a
    positive.
    """
    negatives = np.sort(logits[~positive])
    if negatives.size == 0 or not positive.any():
        return None
    last_kept = negatives[max(math.ceil(specificity * negatives.size - 1e-9), 1) - 1]
    above = logits[logits > last_kept]
    return float(np.nextafter(last_kept, np.inf)) if above.size == 0 else float((last_kept + above.min()) / 2)


def cross_fit_groups(patients: IntArray, positive: BoolArray, seed: int) -> IntArray:
    """A group 0..4 for each unit [n]; the films of a patient share one, patients with a positive are spread evenly."""
    numbers, dense = np.unique(patients, return_inverse=True)
    has_positive = np.bincount(dense, weights=positive) > 0
    chance = np.random.default_rng(seed).permutation(len(numbers))
    rank = np.empty(len(numbers), dtype=np.int64)
    rank[np.lexsort((chance, ~has_positive))] = np.arange(len(numbers))
    return (rank % NUM_CROSS_FITS)[dense]


def cross_fitted_operating(
    logits: FloatArray, positive: BoolArray, patients: IntArray, specificity: float, seed: int
) -> Operating | None:
    """What a threshold, chosen on four fifths of the validation patients, achieves on the last fifth.

    Flags of all fifths are pooled over units [n]. ``None`` when some fifth leaves too little to fit on.
    """
    groups = cross_fit_groups(patients, positive, seed)
    flagged = np.zeros(len(logits), dtype=bool)
    for group in np.unique(groups):
        judged = groups == group
        threshold = threshold_at_specificity(logits[~judged], positive[~judged], specificity)
        if threshold is None:
            return None
        flagged[judged] = logits[judged] >= threshold
    return Operating(float(flagged[positive].mean()), float((~flagged[~positive]).mean()))
