"""The films of a data set as later stages will see them, before any is decoded: who, in which part, with which labels."""

from collections.abc import Sequence
from typing import NoReturn, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chex_api.dataset import Dataset, ScoringUnit
from chex_jobs.data.dataset.index import numbered_studies
from chex_jobs.data.splits.assignment import assign
from chex_jobs.preflight.looking import Look


class DeclaredFilms:
    """The films that no table or listing speaks against, numbered as ingest would number them if all could be decoded.

    Attributes:
        patients: int32 [N]; equal numbers are one patient.
        studies: int32 [N]; equal numbers are one study.
        split: str [N], as `chex_jobs.data.dataset.chest_xray_dataset.ChestXrayDataset.split`.
        fold: int32 [N], -1 without folds.
        num_folds: 0 without folds.
        unit: what is scored.
    """

    def __init__(self, dataset: Dataset, look: Look, seed: int, outcomes: Sequence[str] = ()) -> None:
        """`outcomes` are the tasks by which folds are dealt out. Raises `SplitError`."""
        declared = look.declaration
        rows = np.arange(len(declared.table.films))
        self._rows = rows[~np.isin(rows, list(declared.faults))]
        self._labels = declared.labels
        films = declared.table.films.select(self._rows)
        dealt_by = {task: self.labels(task) for task in outcomes}
        assignment = assign(dataset.split, seed, films.patients, films.officials, dealt_by)
        self.patients, _ = films.patients.numbered()
        self.studies = numbered_studies(films)
        self.split = np.array(assignment.split, dtype=np.str_)
        self.fold = assignment.fold
        self.num_folds = assignment.num_folds
        self.unit: ScoringUnit = cast(ScoringUnit, dataset.unit)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def units(self) -> npt.NDArray[np.int32]:
        """Number of what each film is scored with, int32 [N]."""
        each = np.arange(len(self), dtype=np.int32)
        return {"Image": each, "Study": self.studies, "Patient": self.patients}[self.unit]

    def labels(self, task: str) -> npt.NDArray[np.float32]:
        """Labels of a task, float32 [N]: 1, 0 or NaN."""
        return self._labels[task][self._rows]

    def film(self, _ordinal: int, /) -> NoReturn:
        """No film is decoded yet."""
        raise AssertionError("preflight reads no film")

    @property
    def metadata(self) -> pa.Table:
        """Nothing here depends on metadata."""
        return pa.table({})
