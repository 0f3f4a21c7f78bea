"""Draws: which labelled patients a hospital would have, had it labelled only a fraction of them.

A draw orders the patients once; a fraction takes the first so many of that order, so smaller fractions are nested in
larger ones. Films of a patient stay together, and the order is stratified by findings, so that a small fraction has
about the prevalence of the whole.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class LabelSet:
    """A share of the labels of a hospital."""

    fraction: float
    """Share of the labelled patients, in (0, 1]."""
    draw: int
    """Which sample. A fraction of 1 has only draw 0."""


def draws_of(fraction: float, draws: int) -> range:
    """The draws at one label fraction: all labels can be drawn in one way only."""
    return range(1 if fraction >= 1.0 else draws)


def sample(
    patients: IntArray, labels: FloatArray, which: LabelSet, *, seed: int, role: str
) -> NDArray[np.bool_]:
    """Mask of the films, of N, that belong to the sample.

    Args:
        patients: patient of each film, [N].
        labels: 1 present, 0 absent, NaN unknown, [N, T]. A film without any known label is in no sample.
        which: the share and the draw.
        seed: of the job.
        role: `train` or `validate`; the two are drawn independently.

    At least `round(fraction * patients)` patients, and more where fewer would leave a task that has both classes
    without one of them: such a sample could neither be learned from nor judged. Tiny samples are enriched by that.
    """
    labelled = np.asarray(~np.isnan(labels).all(axis=1))
    if which.fraction >= 1.0:
        return labelled
    order, core = _order(patients[labelled], labels[labelled], seed, which.draw, role)
    count = max(round(which.fraction * len(order)), core, min(1, len(order)))
    drawn: NDArray[np.bool_] = np.isin(patients, order[:count])
    return labelled & drawn


def _order(patients: IntArray, labels: FloatArray, seed: int, draw: int, role: str) -> tuple[IntArray, int]:
    """All patients in the order in which they are taken, and how many of the first are needed to have every class."""
    ids, position = np.unique(patients, return_inverse=True)
    has_positive = np.zeros((len(ids), labels.shape[1]), dtype=np.bool_)
    has_negative = np.zeros_like(has_positive)
    np.logical_or.at(has_positive, position, labels == 1)
    np.logical_or.at(has_negative, position, labels == 0)
    chance = np.array([_hash(seed, draw, role, int(p)) for p in ids], dtype=np.float64)
    spread = _spread_over_strata(_strata(has_positive), chance)
    core = _core(has_positive, has_negative, chance)
    in_core = np.isin(np.arange(len(ids)), core)
    rest = np.lexsort((chance, spread))
    rest = rest[~in_core[rest]]
    return ids[np.concatenate([np.array(core, dtype=np.int64), rest])], len(core)


def _strata(has_positive: NDArray[np.bool_]) -> IntArray:
    """Stratum of each patient: the rarest finding that the patient has, else -1."""
    counts = has_positive.sum(axis=0)
    strata = np.full(len(has_positive), -1, dtype=np.int64)
    for task in np.argsort(-counts, kind="stable"):  # common first, so that rarer ones overwrite
        strata[has_positive[:, task]] = task
    return strata


def _spread_over_strata(strata: IntArray, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """A number in (0, 1) for each patient, so that the patients of each stratum are evenly spread in random order."""
    spread = np.zeros(len(strata))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        rank = np.argsort(np.argsort(chance[members], kind="stable"), kind="stable")
        spread[members] = (rank + 0.5) / len(members)
    return spread


def _core(
    has_positive: NDArray[np.bool_], has_negative: NDArray[np.bool_], chance: NDArray[np.float64]
) -> list[int]:
    """Positions of the few patients taken first: for each task, rarest first, one with each class that exists."""
    core: list[int] = []
    by_chance = np.argsort(chance, kind="stable")
    for task in np.argsort(has_positive.sum(axis=0), kind="stable"):
        for column in (has_positive[:, task], has_negative[:, task]):
            if column.any() and not column[core].any():
                core.append(int(by_chance[column[by_chance]][0]))
    return core


def _hash(seed: int, draw: int, role: str, patient: int) -> float:
    """A number in [0, 1) that depends on nothing else than the arguments."""
    digest = hashlib.sha256(f"{seed}/{draw}/{role}/{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64
