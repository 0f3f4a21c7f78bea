"""What every source hands to ingest: one row for each film it declares, and how to get at that film's picture."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chex_jobs.data.records.films import Films
from chex_jobs.data.records.findings import Finding, Kind
from chex_jobs.data.tables.cells import Cells
from chex_jobs.data.tables.columns import ColumnFormat

MISSING = -1
"""Size of a film that the source names and does not have."""
MADE = -2
"""Size of a film that is made on demand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmTable:
    """Every film that a source declares.

    Attributes:
        films: in ascending order of keys; equal keys (several rows name one film) in the order of the table.
            `chex_jobs.data.sources.declaration` makes one film of them.
        columns: cells as text, by column and film: what tasks ask for.
        formats: how a column writes its cells; a column that is not named is plain.
        metadata: cells by metadata column and film: projection, sex, age, device, subgroups. Not private: a source
            puts nothing here that identifies a patient.
        findings: what reading the source found. Rows `LEFT_OUT` are no films of this data set (`where`, `not an
            X-ray`): they are not faults and do not count as quarantined.
    """

    films: Films
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def left_out(self) -> dict[str, int]:
        """Number of rows that are no film of this data set, by reason."""
        return {finding.reason: finding.count for finding in self.findings if finding.kind is Kind.LEFT_OUT}

    def __post_init__(self) -> None:
        for name in ("columns", "metadata"):
            packed = {column: Cells.of(cells) for column, cells in getattr(self, name).items()}
            object.__setattr__(self, name, packed)
        assert all(a <= b for a, b in itertools.pairwise(self.films.keys)), (
            "films must be in ascending order of keys"
        )
        assert all(
            len(cells) == len(self.films) for cells in (*self.columns.values(), *self.metadata.values())
        )

    def select(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> "FilmTable":
        """Return the table with the given rows only, in the order given (ascending)."""

        def kept(columns: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
            return {name: Cells.of(cells).select(rows) for name, cells in columns.items()}

        if len(rows) == len(self.films):  # all of them
            return self
        return FilmTable(
            films=self.films.select(rows),
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
