"""What every source hands to ingest: one row for each film it declares, and how to get at that film's picture."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chex_jobs.data.columns import ColumnFormat
from chex_jobs.data.faults import Fault
from chex_jobs.data.findings import Finding, Kind
from chex_jobs.data.splits import UNUSED

MISSING = -1
"""Size of a film that the source names and does not have."""
MADE = -2
"""Size of a film that is made on demand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRecord:
    """One film as its source declares it. Patient, study, key and report are private.

    Attributes:
        key: path below the source's URI, and the order of films everywhere.
        patient: the source's patient id; empty if the row has none.
        study: the source's study id, unique within the patient; empty: the film is a study of its own.
        view: one of `chex_jobs.data.views`.
        size_bytes: of the film's file; `MISSING` if there is no such file, `MADE` if the source makes its films.
        mark: changes when the film's file is written again (`chex_jobs.artifacts.storage.ObjectStamp`); empty if there
            is none.
        report: the report's text, or None.
        official: published part of the split, one of `chex_jobs.data.splits`.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmTable:
    """Every film that a source declares.

    Attributes:
        films: in ascending order of keys; equal keys (several rows name one film) in the order of the table.
            `chex_jobs.data.declaration` makes one film of them.
        columns: cells as text, by column and film: what tasks ask for.
        formats: how a column writes its cells; a column that is not named is plain.
        metadata: cells by metadata column and film: projection, sex, age, device, subgroups. Not private: a source
            puts nothing here that identifies a patient.
        findings: what reading the source found. Rows `LEFT_OUT` are no films of this data set (`where`, `not an
            X-ray`): they are not faults and do not count as quarantined.
    """

    films: tuple[FilmRecord, ...]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def left_out(self) -> dict[str, int]:
        """Number of rows that are no film of this data set, by reason."""
        return {finding.reason: finding.count for finding in self.findings if finding.kind is Kind.LEFT_OUT}

    def __post_init__(self) -> None:
        keys = [film.key for film in self.films]
        assert all(a <= b for a, b in itertools.pairwise(keys)), "films must be in ascending order of keys"
        assert all(len(cells) == len(keys) for cells in (*self.columns.values(), *self.metadata.values()))

    def select(self, rows: Sequence[int]) -> "FilmTable":
        """Return the table with the given rows only, in the order given (ascending)."""

        def kept(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
            return {name: [cells[row] for row in rows] for name, cells in columns.items()}

        return FilmTable(
            films=tuple(self.films[row] for row in rows),
            columns=kept(self.columns),
            formats=self.formats,
            metadata=kept(self.metadata),
            findings=self.findings,
        )


class FilmReader(Protocol):
    """Gets the picture of a film. Picklable: it travels to the tasks that decode, and opens its storage there."""

    def read(self, key: str) -> bytes | npt.NDArray[np.uint8]:
        """Return the file's bytes, or, from a source that makes its films, the film as uint8 [H, W].

        Raises:
            FilmError: the file is missing.
        """
        ...


class Source(Protocol):
    """One published format of films, or `table`, `dicomFolder` or `phantom`."""

    def films(self, columns: Collection[str]) -> FilmTable:
        """Return every film declared, with the cells of `columns` (those that the tasks and their filters read).

        Raises:
            SourceError: not laid out as declared.
            ColumnError: a column is missing; names it, the nearest present one and the file.
        """
        ...

    def reader(self) -> FilmReader:
        """Return what reads the pictures."""
        ...
