"""Deals patients out to folds of equal size that all have the tasks' outcomes.

A hospital that needs folds has few patients, and a task may have 20 positive ones: dealt out by chance, some fold
would test or validate on none. So patients are dealt out by outcome, rarest first (iterative stratification), and
where a fold still lacks an outcome that others have twice, patients change places.

    K. Sechidis, G. Tsoumakas, I. Vlahavas, On the stratification of multi-label data, ECML PKDD 2011.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
NUM_ATTEMPTS = 50
"""Orders that are tried where a gap is left; a few do where there is a way at all."""


def outcomes_of_patients(
    labels: Mapping[str, npt.ArrayLike], patients: Sequence[str], order: Sequence[str]
) -> BoolArray:
    """[P, 3 T] which outcomes each patient has, three for each task: a positive film, a negative one, only negative.

    What counts as negative depends on the unit that is scored: of a patient with films of both kinds, some films are
    negative but the patient is not. Both readings are dealt out.

    Args:
        labels: by task, [N] by film: 1, 0 or NaN.
        patients: [N] patient id by film.
        order: [P] the patients.
    """
    place = {patient: row for row, patient in enumerate(order)}
    rows = np.array([place[patient] for patient in patients], dtype=np.int64)
    columns: list[BoolArray] = []
    for task in sorted(labels):
        values = np.asarray(labels[task], dtype=np.float64)
        positive, negative = (
            np.bincount(rows[values == value], minlength=len(order)) > 0 for value in (1, 0)
        )
        columns += [positive, negative, negative & ~positive]
    return np.stack(columns, axis=1) if columns else np.zeros((len(order), 0), dtype=bool)


def deal_out(outcomes: BoolArray, num_folds: int) -> IntArray:
    """[P] the fold of each patient; sizes differ by one at most.

    Every fold has every outcome of which there are as many patients as folds, wherever that can be found: where one
    dealing leaves a gap, patients are dealt out again in another order. Depends on the order of the rows, which
    settles ties, and on nothing else.

    Args:
        outcomes: [P, C] which outcomes a patient has.
        num_folds: at most P.
    """
    best = _dealt(outcomes, num_folds)
    for attempt in range(NUM_ATTEMPTS):
        if not _gaps(best, outcomes, num_folds):
            break
        order = np.random.default_rng(attempt).permutation(len(outcomes))
        other = np.empty_like(best)
        other[order] = _dealt(outcomes[order], num_folds)
        best = min(best, other, key=lambda folds: _gaps(folds, outcomes, num_folds))
    return best


def _gaps(fold_of: IntArray, outcomes: BoolArray, num_folds: int) -> int:
    """Pairs of a fold and an outcome that it lacks although there are as many patients of it as folds."""
    counts = np.stack([outcomes[fold_of == fold].sum(axis=0) for fold in range(num_folds)])
    return int(((counts == 0) & (outcomes.sum(axis=0) >= num_folds)).sum())


def _dealt(outcomes: BoolArray, num_folds: int) -> IntArray:
    """Patients in the order of their rows, those with the rarest outcome first, each to the fold that lacks it most."""
    num_patients = len(outcomes)
    free = np.array([len(range(fold, num_patients, num_folds)) for fold in range(num_folds)])
    fold_of = np.full(num_patients, -1, dtype=np.int64)
    wanted = outcomes.sum(axis=0) / num_folds * np.ones((num_folds, 1))
    waiting = np.ones(num_patients, dtype=bool)
    while True:
        left = outcomes[waiting].sum(axis=0)
        if not left.any():
            break
        rarest = int(np.argmin(np.where(left > 0, left, num_patients + 1)))
        for patient in np.flatnonzero(waiting & outcomes[:, rarest]):
            fold = _neediest(wanted[:, rarest], wanted[:, outcomes[patient]].sum(axis=1), free)
            fold_of[patient] = fold
            wanted[fold] -= outcomes[patient]
            free[fold] -= 1
            waiting[patient] = False
    for patient in np.flatnonzero(waiting):
        fold = int(np.argmax(free))
        fold_of[patient] = fold
        free[fold] -= 1
    return _exchanged(fold_of, outcomes, num_folds)


def _neediest(of_rarest: npt.NDArray[np.float64], of_all: npt.NDArray[np.float64], free: IntArray) -> int:
    """The fold with places left that lacks most of the rarest outcome, then of all the patient's, then of patients."""
    order = np.lexsort((-free, -of_all.round(9), -of_rarest.round(9), free <= 0))
    return int(order[0])


def _exchanged(fold_of: IntArray, outcomes: BoolArray, num_folds: int) -> IntArray:
    """Exchanges pairs of patients for as long as that leaves fewer outcomes lacking in some fold."""
    result = fold_of.copy()
    counts = np.stack([outcomes[result == fold].sum(axis=0) for fold in range(num_folds)])
    enough = outcomes.sum(axis=0) >= num_folds
    patterns, pattern_of = np.unique(outcomes, axis=0, return_inverse=True)
    while (pair := _best_exchange(counts, enough, patterns, pattern_of, result)) is not None:
        first, second = pair
        change = outcomes[second].astype(np.int64) - outcomes[first]
        counts[result[first]] += change
        counts[result[second]] -= change
        result[first], result[second] = result[second], result[first]
    return result


def _best_exchange(
    counts: IntArray, enough: BoolArray, patterns: BoolArray, pattern_of: IntArray, fold_of: IntArray
) -> tuple[int, int] | None:
    """The pair of patients whose exchange leaves the fewest gaps, if fewer than there are."""
    gaps = (counts == 0) & enough
    best: tuple[int, int, int] | None = None
    for fold in np.flatnonzero(gaps.any(axis=1)):
        here = np.unique(pattern_of[fold_of == fold])
        for other in range(len(counts)):
            there = np.unique(pattern_of[fold_of == other])
            there = there[(patterns[there] & gaps[fold]).any(axis=1)]
            if other == fold or there.size == 0:
                continue
            change = patterns[there][:, None].astype(np.int64) - patterns[here][None]
            left = ((counts[fold] + change <= 0) & enough).sum(axis=2)
            left = left + ((counts[other] - change <= 0) & enough).sum(axis=2)
            gained = int(gaps[fold].sum() + gaps[other].sum()) - left
            row, column = np.unravel_index(int(np.argmax(gained)), gained.shape)
            if gained[row, column] > (best[0] if best else 0):
                giver = np.flatnonzero((fold_of == other) & (pattern_of == there[row]))[0]
                taker = np.flatnonzero((fold_of == fold) & (pattern_of == here[column]))[0]
                best = int(gained[row, column]), int(taker), int(giver)
    return None if best is None else best[1:]
