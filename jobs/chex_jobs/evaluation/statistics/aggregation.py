"""From films to what a hospital scores: films, studies or patients.

A unit's logit is the mean over its films; its label is positive when any film is known to be positive,
negative when some are known and none is positive, unknown otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chex_api.dataset import ScoringUnit
from chex_jobs.evaluation.statistics.discrimination import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class UnitMap:
    """Which unit each film belongs to."""

    unit_of_film: IntArray
    """[F] positions in ``ordinals``."""
    ordinals: IntArray
    """[n] the unit's number: film ordinal, study ordinal or patient ordinal."""
    patients: IntArray
    """[n] patient ordinal of each unit."""


def map_units(unit: ScoringUnit, films: IntArray, studies: IntArray, patients: IntArray) -> UnitMap:
    """Groups films [F] into units, in order of their numbers.

    Raises ValueError when a study has films of two patients: the data set's index is then wrong.
    """
    numbers = {"Image": films, "Study": studies, "Patient": patients}[unit]
    ordinals, first, unit_of_film = np.unique(numbers, return_index=True, return_inverse=True)
    owner = np.asarray(patients, dtype=np.int64)[first]
    if not np.array_equal(owner[unit_of_film], patients):
        raise ValueError(
            f"a {unit.lower()} has films of more than one patient; check the data set's study column"
        )
    return UnitMap(unit_of_film.astype(np.int64), ordinals.astype(np.int64), owner)


def mean_logits(units: UnitMap, logits: FloatArray) -> FloatArray:
    """[n, T] mean over films of ``logits`` [F, T]."""
    films = np.bincount(units.unit_of_film, minlength=len(units.ordinals))
    columns = [
        np.bincount(units.unit_of_film, weights=column, minlength=len(units.ordinals)) / films
        for column in np.asarray(logits, dtype=np.float64).T
    ]
    return np.stack(columns, axis=1)


def unit_labels(units: UnitMap, labels: FloatArray) -> FloatArray:
    """[n, T] labels of units from labels of films [F, T], 1, 0 or NaN."""
    result = np.full((len(units.ordinals), labels.shape[1]), np.nan)
    for task, column in enumerate(np.asarray(labels, dtype=np.float64).T):
        for value in (0.0, 1.0):  # positive last, so that it wins
            result[units.unit_of_film[column == value], task] = value
    return result
