"""A data set after ingest: decoded films, and for each its patient, study, view, split, labels and metadata."""

import functools
import threading
from collections.abc import Mapping
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chex_api.dataset import ScoringUnit
from chex_api.summaries import IngestSummary
from chex_jobs.artifacts.finished import FinishedArtifact
from chex_jobs.data.dataset.duplicates import labels_of_equals
from chex_jobs.data.dataset.index import EQUALS, INDEX, META_PREFIX, PATIENTS, REPORTS, from_parquet
from chex_jobs.data.dataset.label_objects import read_labels
from chex_jobs.data.dataset.shards import ShardSlot, film_at, open_shard, shard_path
from chex_jobs.data.decoding.pixels import Film
from chex_jobs.data.errors import DatasetError
from chex_jobs.data.tables.cells import AT_ONCE


class ChestXrayDataset:
    """Films by ordinal, 0 to N - 1, and columns of length N. Safe to read from several threads; pickles as its artifact.

    Nothing here names a patient or a file. Only `reports` and `patient_ids` read from the private prefix.

    Attributes:
        patients: int32 [N]; equal numbers are one patient. Local to this data set.
        studies: int32 [N]; equal numbers are one study.
        views: str [N], `Frontal` or `Lateral`.
        split: str [N], `train`, `validate`, `test`, or empty for films of no part.
        fold: int32 [N], the fold in which a film tests, -1 without folds.
        num_folds: 0 without folds.
        has_report: bool [N].
        unit: what is scored: `Image`, `Study` or `Patient`.
    """

    def __init__(
        self, done: FinishedArtifact, index: pa.Table, labels: Mapping[str, FinishedArtifact]
    ) -> None:
        self._done = done
        self._index = index
        self._label_objects = labels
        self._labels: dict[str, npt.NDArray[np.float32]] = {}
        self._shards: dict[int, npt.NDArray[np.uint8]] = {}
        self._opening = threading.Lock()
        self._shard_of, self._offsets, self._heights, self._widths = (
            self._numbers(name) for name in ("shard", "offset", "height", "width")
        )
        self.patients = self._numbers("patient")
        self.studies = self._numbers("study")
        self.views = self._words("view")
        self.split = self._words("split")
        self.fold = self._numbers("fold")
        summary = IngestSummary.parse(done.summary)
        self.num_folds = summary.num_folds
        self.has_report = self._numbers("has_report")
        self.unit: ScoringUnit = cast(ScoringUnit, summary.unit)

    @classmethod
    def open(cls, done: FinishedArtifact, labels: Mapping[str, FinishedArtifact] | None = None) -> Self:
        """Open a finished `ingest` stage, and labels beside it; reads the index only.

        Args:
            done: the films.
            labels: finished labels of the same declaration by task (`label_objects.finished_labels`).

        Raises:
            ArtifactError: missing or corrupt.
        """
        return cls(done, from_parquet(done.read_bytes(INDEX)), labels or {})

    def __len__(self) -> int:
        return self._index.num_rows

    def __reduce__(self) -> tuple[object, tuple[FinishedArtifact, Mapping[str, FinishedArtifact]]]:
        return ChestXrayDataset.open, (self._done, self._label_objects)

    def film(self, ordinal: int) -> Film:
        """Return one film, uint8 [height, width], read-only and not copied.

        Raises:
            ArtifactError: its shard is missing, or its bytes are not those that were written.
            ShardError: its shard is shorter than the index says.
        """
        slot = ShardSlot(int(self._offsets[ordinal]), int(self._heights[ordinal]), int(self._widths[ordinal]))
        return film_at(self._shard(int(self._shard_of[ordinal])), slot)

    def films(self, ordinals: npt.ArrayLike) -> list[Film]:
        """Return films in the order asked for; see `film`."""
        return [self.film(int(ordinal)) for ordinal in np.asarray(ordinals)]

    @property
    def film_sha256(self) -> npt.NDArray[np.str_]:
        """SHA-256 of size and pixels, str [N]: films that are stored alike have equal ones, in any data set."""
        return self._words("film_sha256")

    @property
    def file_sha256(self) -> npt.NDArray[np.str_]:
        """SHA-256 of the file that was decoded, str [N]: equal whatever size it is stored in."""
        return self._words("file_sha256")

    @property
    def task_names(self) -> list[str]:
        """Tasks whose labels were opened with the films, in the order given."""
        return list(self._label_objects)

    def labels(self, task: str) -> npt.NDArray[np.float32]:
        """Return the labels of a task, float32 [N]: 1 yes, 0 no, NaN not known.

        Raises:
            DatasetError: there is no such task.
        """
        if task not in self._label_objects:
            raise DatasetError(
                f"data set {self._done.name!r} has no task {task!r}; it has {', '.join(self.task_names) or 'none'}."
            )
        if task not in self._labels:
            by_row = read_labels(self._label_objects[task])
            self._labels[task] = labels_of_equals(by_row, self._numbers("row"), self._equals)
        return self._labels[task]

    @property
    def metadata(self) -> pa.Table:
        """Text columns by film: `view` (the projection, such as AP), `sex`, `age` and subgroup columns where present.

        A cell that is not known is empty.
        """
        names = [name for name in self._index.column_names if name.startswith(META_PREFIX)]
        return self._index.select(names).rename_columns([name.removeprefix(META_PREFIX) for name in names])

    def patient_ids(self) -> list[str]:
        """Return the id, in its normal form, of each patient by number. Private: only for keyed digests of them.

        Raises:
            ArtifactError: the private prefix is missing, closed to this reader, or corrupt.
        """
        return from_parquet(self._done.read_bytes(PATIENTS))["id"].to_pylist()

    def reports(self) -> list[str | None]:
        """Return the report of each film, or None. Private: for pretraining and DAPT only.

        Raises:
            ArtifactError: the private prefix is missing, closed to this reader, or corrupt.
        """
        table = from_parquet(self._done.read_bytes(REPORTS))
        reports: list[str | None] = [None] * len(self)
        for batch in table.to_batches(max_chunksize=AT_ONCE):
            for ordinal, report in zip(
                *(batch[name].to_pylist() for name in ("ordinal", "report")), strict=True
            ):
                reports[ordinal] = report
        return reports

    @functools.cached_property
    def _equals(self) -> dict[int, list[int]]:
        """Ordinal of a film -> the declared rows that were set aside as the same film."""
        equals: dict[int, list[int]] = {}
        if EQUALS in self._done.files:
            table = from_parquet(self._done.read_bytes(EQUALS))
            for film, row in zip(table["ordinal"].to_pylist(), table["row"].to_pylist(), strict=True):
                equals.setdefault(film, []).append(row)
        return equals

    def _shard(self, number: int) -> npt.NDArray[np.uint8]:
        shard = self._shards.get(number)
        if shard is None:
            with self._opening:
                if number not in self._shards:
                    self._shards[number] = open_shard(self._done.local_path(shard_path(number)))
                shard = self._shards[number]
        return shard

    def _numbers(self, name: str) -> npt.NDArray:
        return self._index[name].to_numpy()

    def _words(self, name: str) -> npt.NDArray[np.str_]:
        return np.array(self._index[name].to_pylist(), dtype=np.str_)
