"""What an evaluation knows of a data set besides its films: labels, patients, roles and metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chex_api.dataset import ScoringUnit
from chex_jobs.data.splits.assignment import roles
from chex_jobs.evaluation.arms.subgroups import unit_values
from chex_jobs.evaluation.baseline.metadata_baseline import FilmRoles
from chex_jobs.evaluation.statistics.aggregation import UnitMap, map_units, unit_labels
from chex_jobs.evaluation.statistics.discrimination import FloatArray
from chex_jobs.evaluation.statistics.predictions import UnitTable

IntArray = NDArray[np.int64]


class Films(Protocol):
    """What an evaluation needs of ``chex_jobs.data.dataset.chest_xray_dataset.ChestXrayDataset``."""

    patients: NDArray[Any]
    studies: NDArray[Any]
    split: NDArray[np.str_]
    fold: NDArray[np.int32]
    num_folds: int
    unit: ScoringUnit

    def __len__(self) -> int:
        """Number of films."""
        ...

    def film(self, ordinal: int, /) -> NDArray[np.uint8]:
        """One film, uint8 [H, W]."""
        ...

    def labels(self, task: str) -> NDArray[np.float32]:
        """[N], 1, 0 or NaN."""
        ...

    @property
    def metadata(self) -> pa.Table:
        """Text columns by film."""
        ...


@dataclass(frozen=True)
class EvaluationData:
    """A data set as an evaluation sees it, for some of its tasks."""

    films: Films
    tasks: tuple[str, ...]

    @cached_property
    def units(self) -> UnitMap:
        """Which unit each film belongs to."""
        numbers = np.arange(len(self.films), dtype=np.int64)
        studies, patients = self.films.studies.astype(np.int64), self.films.patients.astype(np.int64)
        return map_units(self.films.unit, numbers, studies, patients)

    @cached_property
    def labels(self) -> FloatArray:
        """[N, T] of films."""
        columns = [self.films.labels(task).astype(np.float64) for task in self.tasks]
        return np.stack(columns, axis=1) if columns else np.empty((len(self.films), 0))

    @cached_property
    def roles(self) -> tuple[FilmRoles, ...]:
        """Who trains, validates and tests, for each fold or once."""
        folds: Sequence[int | None] = range(self.films.num_folds) if self.films.num_folds else [None]
        return tuple(FilmRoles(-1 if fold is None else fold, *roles(self.films, fold)) for fold in folds)

    @cached_property
    def unit_labels(self) -> FloatArray:
        """[U, T] of all units."""
        return unit_labels(self.units, self.labels)

    def table(self, films: IntArray) -> UnitTable:
        """The labelled units of some films, with labels from all films of the unit."""
        chosen = np.unique(self.units.unit_of_film[films])
        chosen = chosen[~np.isnan(self.unit_labels[chosen]).all(axis=1)]
        return UnitTable(self.units.ordinals[chosen], self.units.patients[chosen], self.unit_labels[chosen])

    @cached_property
    def training_units(self) -> UnitTable:
        """Labelled training units; with folds all labelled units, each of which trains in most folds."""
        return self.table(np.unique(np.concatenate([each.train for each in self.roles])))

    @cached_property
    def validation_units(self) -> UnitTable:
        """Labelled validation units; with folds all labelled units."""
        return self.table(np.unique(np.concatenate([each.validate for each in self.roles])))

    @cached_property
    def test_units(self) -> UnitTable:
        """Labelled test units; with folds all labelled units."""
        return self.table(np.unique(np.concatenate([each.test for each in self.roles])))

    def test_films(self, fold: int) -> IntArray:
        """The films of labelled test units: of one fold, or all (-1). Ascending."""
        tested = [each.test for each in self.roles if fold in (-1, each.fold)]
        films = np.unique(np.concatenate(tested))
        labelled = np.isin(self.units.ordinals[self.units.unit_of_film[films]], self.test_units.ordinals)
        return films[labelled]

    @cached_property
    def metadata(self) -> Mapping[str, Sequence[object]]:
        """Column -> value of each film."""
        return self.films.metadata.to_pydict()

    def test_subgroups(self) -> Mapping[str, Sequence[object]]:
        """Column -> value of each test unit; see `unit_values`."""
        rows = np.searchsorted(self.units.ordinals, self.test_units.ordinals)
        return {
            name: [values[row] for row in rows]
            for name, values in (
                (name, unit_values(self.units, values)) for name, values in self.metadata.items()
            )
        }
