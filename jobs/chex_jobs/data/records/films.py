"""The films that a source declares, as columns: one record of them exists at a time."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chex_jobs.data.decoding.faults import Fault
from chex_jobs.data.splits.assignment import UNUSED
from chex_jobs.data.tables.cells import Cells, chunked, encoded, in_parts

_TEXTS = {
    "keys": "key",
    "patients": "patient",
    "studies": "study",
    "views": "view",
    "marks": "mark",
    "reports": "report",
    "officials": "official",
}
"""Columns of text, and what of a record each holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRecord:
    """One film as its source declares it. Patient, study, key and report are private.

    Attributes:
        key: path below the source's URI, and the order of films everywhere.
        patient: the source's patient id; empty if the row has none.
        study: the source's study id, unique within the patient; empty: the film is a study of its own.
        view: one of `chex_jobs.data.records.views`.
        size_bytes: of the film's file; `MISSING` if there is no such file, `MADE` if the source makes its films.
        mark: changes when the film's file is written again (`chex_jobs.artifacts.storage.ObjectStamp`); empty if there
            is none.
        report: the report's text, or None.
        official: published part of the split, one of `chex_jobs.data.splits.assignment`.
        fault: why the film cannot be used, where its source knows that already.
        row: number of the row in the source's table, 1 for the first after the header; for messages.
    """

    key: str
    patient: str
    study: str = ""
    view: str
    size_bytes: int
    mark: str = ""
    report: str | None = None
    official: str = UNUSED
    fault: Fault | None = None
    row: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Films(Sequence[FilmRecord]):
    """Films in order; the columns are those of `FilmRecord`. Equal to every sequence of equal records.

    Attributes:
        keys, patients, studies, views, marks, reports, officials: text, [N].
        sizes: int64 [N], in bytes.
        rows: int64 [N], numbers of rows in the source's table.
        faults: by place; few, so not a column.
    """

    keys: Cells[str]
    patients: Cells[str]
    studies: Cells[str]
    views: Cells[str]
    marks: Cells[str]
    reports: Cells[str | None]
    officials: Cells[str]
    sizes: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    faults: Mapping[int, Fault]

    @classmethod
    def of(cls, records: Iterable[FilmRecord]) -> "Films":
        """Gather records, a few thousand at a time."""
        if isinstance(records, Films):
            return records
        texts: dict[str, list[pa.Array]] = {column: [] for column in _TEXTS}
        sizes, rows, faults = list[int](), list[int](), dict[int, Fault]()
        for part in in_parts(records):
            for column, name in _TEXTS.items():
                texts[column].append(encoded(getattr(film, name) for film in part))
            faults |= {len(rows) + place: film.fault for place, film in enumerate(part) if film.fault}
            sizes += [film.size_bytes for film in part]
            rows += [film.row for film in part]
        return cls(
            **{column: Cells(chunked(parts)) for column, parts in texts.items()},
            sizes=np.array(sizes, np.int64),
            rows=np.array(rows, np.int64),
            faults=faults,
        )

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, place: int) -> FilmRecord: ...
    @overload
    def __getitem__(self, place: slice) -> "Films": ...
    def __getitem__(self, place: int | slice) -> "FilmRecord | Films":
        if isinstance(place, slice):
            return self.select(range(len(self))[place])
        place = range(len(self))[place]
        return self._record(place, [column[place] for column in self._texts()])

    def __iter__(self) -> Iterator[FilmRecord]:
        return itertools.starmap(self._record, enumerate(zip(*self._texts(), strict=True)))

    def _texts(self) -> list[Cells[Any]]:
        return [getattr(self, column) for column in _TEXTS]

    def _record(self, place: int, texts: Iterable[Any]) -> FilmRecord:
        return FilmRecord(
            **dict(zip(_TEXTS.values(), texts, strict=True)),
            size_bytes=int(self.sizes[place]),
            fault=self.faults.get(place),
            row=int(self.rows[place]),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def select(self, places: Sequence[int] | npt.NDArray[np.integer]) -> "Films":
        """Some films, in the order given."""
        chosen = np.asarray(places, np.int64)
        if len(chosen) == len(self) and np.array_equal(chosen, np.arange(len(self))):
            return self
        kept = enumerate(chosen.tolist()) if self.faults else ()
        return Films(
            **{column: getattr(self, column).select(chosen) for column in _TEXTS},
            sizes=self.sizes[chosen],
            rows=self.rows[chosen],
            faults={new: self.faults[old] for new, old in kept if old in self.faults},
        )

    def with_ids(self, patients: Iterable[str], studies: Iterable[str]) -> "Films":
        """The same films with other spellings of their patients and studies."""
        return replace(self, patients=Cells.of(patients), studies=Cells.of(studies))
