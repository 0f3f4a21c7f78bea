"""Reading a source's CSV or Parquet file into cells of text."""

import csv
import gzip
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet

from chex_jobs.data.columns import nearest
from chex_jobs.data.errors import ColumnError, SourceError
from chex_jobs.data.faults import is_git_lfs_pointer


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table as it lies in the source.

    Attributes:
        file: path below the source's URI, for messages.
        columns: cells as text by column name; a missing value is the empty string.
        num_rows: number of rows, the header left out.
    """

    file: str
    columns: dict[str, list[str]]
    num_rows: int

    def column(self, name: str, field: str = "") -> list[str]:
        """Return the cells of a column.

        Args:
            name: column name, compared exactly.
            field: path of the manifest field that names the column, for the message; empty if none does.

        Raises:
            ColumnError: there is no such column.
        """
        if name in self.columns:
            return self.columns[name]
        asked = f"{field}: " if field else ""
        raise ColumnError(
            f"{asked}{self.file} has no column {name!r}; the nearest is {nearest(name, self.columns)!r} "
            f"(of {len(self.columns)} columns)."
        )

    def any_column(self, names: Iterable[str]) -> list[str]:
        """Return the first column there is of several spellings that a published format has used."""
        spellings = list(names)
        for name in spellings:
            if name in self.columns:
                return self.columns[name]
        return self.column(spellings[0])

    def optional_column(self, name: str) -> list[str]:
        """Return the cells of a column, or blank cells when there is no such column."""
        return self.columns.get(name) or [""] * self.num_rows

    def select(self, rows: Sequence[int]) -> "RawTable":
        """Return the given rows only."""
        kept = {name: [cells[row] for row in rows] for name, cells in self.columns.items()}
        return RawTable(self.file, kept, len(rows))


def parse_table(file: str, content: bytes) -> RawTable:
    """Parse the bytes of `.csv`, `.csv.gz` or `.parquet`.

    Raises:
        SourceError: not such a file, a Git LFS pointer, no header, a row of another length, two columns of one name.
    """
    if is_git_lfs_pointer(content):
        raise SourceError(
            f"{file} is a Git LFS pointer, not the table itself: run `git lfs pull` where it comes from."
        )
    if file.endswith(".parquet"):
        return _parse_parquet(file, content)
    if file.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise SourceError(f"{file} cannot be unpacked: {error}.") from error
    return _parse_csv(file, content)


def _parse_csv(file: str, content: bytes) -> RawTable:
    reader = csv.reader(io.StringIO(_text(content), newline=""))
    try:
        header = [name.strip() for name in next(reader)]
        rows = [row for row in reader if row]
    except StopIteration:
        raise SourceError(f"{file} is empty: not even a header.") from None
    except csv.Error as error:
        raise SourceError(f"{file}, line {reader.line_num}: {error}.") from error
    _check_names(file, header)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise SourceError(
                f"{file}, row {number} after the header: {len(row)} cells under {len(header)} columns."
            )
    columns = {name: [row[index] for row in rows] for index, name in enumerate(header)}
    return RawTable(file, columns, len(rows))


def _parse_parquet(file: str, content: bytes) -> RawTable:
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{file} is not a readable Parquet file: {error}.") from error
    _check_names(file, table.column_names)
    columns = {name: _cells(table.column(name)) for name in table.column_names}
    return RawTable(file, columns, table.num_rows)


def _cells(column: pa.ChunkedArray) -> list[str]:
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _text(content: bytes) -> str:
    """Decode as UTF-8 (with or without mark), else as Windows-1252, which European hospital exports still are."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _check_names(file: str, names: Collection[str]) -> None:
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise SourceError(f"{file} has two columns named {doubled[0]!r}; rename one.")
