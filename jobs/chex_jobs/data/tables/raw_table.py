"""Reading a source's table, however it is stored, into cells of text."""

import io
import unicodedata
import urllib.parse
import zlib
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from chex_api.dataset import DecimalMark
from chex_jobs.data.decoding.faults import is_git_lfs_pointer
from chex_jobs.data.errors import ColumnError, SourceError
from chex_jobs.data.tables.cells import AT_ONCE, Cells, chunked, encoded, in_parts
from chex_jobs.data.tables.columns import ColumnFormat, nearest
from chex_jobs.data.tables.delimited import read_rows
from chex_jobs.data.tables.table_format import LIST_SEPARATOR, TableFormat, cell_text

MAX_TABLE_BYTES = 2 << 30
"""Of an unpacked table. A million rows with a page of report each have less; a small file that unpacks to more is a bomb."""
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""What engines call the folder of rows that have no value there."""
_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1 << 24


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table as it lies in the source.

    Attributes:
        file: path below the source's URI, for messages.
        columns: cells as text by column name; a missing value is the empty string.
        num_rows: number of rows, the header left out.
        numbers: number of each row in the file, 1 for the first after the header; empty: the rows are all there.
        formats: of the columns whose type in the file says how they are to be read.
    """

    file: str
    columns: Mapping[str, Sequence[str]]
    num_rows: int
    numbers: Sequence[int] = ()
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)

    def number(self, row: int) -> int:
        """Return the number of a row in the file."""
        return self.numbers[row] if self.numbers else row + 1

    def column(self, name: str, field: str = "") -> Sequence[str]:
        """Return the cells of a column.

        Args:
            name: column name, compared exactly.
            field: path of the manifest field that names the column, for the message; empty if none does.

        Raises:
            ColumnError: there is no such column.
        """
        self.require([(name, field)])
        return self.columns[name]

    def require(self, asked: Iterable[tuple[str, str]]) -> None:
        """Check that all columns are there: names, each with the field that names it.

        Raises:
            ColumnError: names all that are not, each with the nearest that is.
        """
        missing = [
            f"{f'{path}: ' if path else ''}{self.file} has no column {name!r}; the nearest is "
            f"{nearest(name, self.columns)!r} (of {len(self.columns)} columns)."
            for name, path in asked
            if name not in self.columns
        ]
        if missing:
            raise ColumnError(" ".join(missing))

    def any_column(self, names: Iterable[str]) -> Sequence[str]:
        """Return the first column there is of several spellings that a published format has used."""
        spellings = list(names)
        for name in spellings:
            if name in self.columns:
                return self.columns[name]
        return self.column(spellings[0])

    def optional_column(self, name: str) -> Sequence[str]:
        """Return the cells of a column, or blank cells when there is no such column."""
        return self.columns.get(name) or [""] * self.num_rows

    def select(self, rows: Sequence[int]) -> "RawTable":
        """Return the given rows only; they keep their numbers."""
        if len(rows) == self.num_rows and np.array_equal(rows, np.arange(self.num_rows)):
            return self  # most tables are in the order of their films, and a copy takes as much memory again
        kept = {name: Cells.of(cells).select(rows) for name, cells in self.columns.items()}
        numbers = array("q", (self.number(row) for row in rows))
        return replace(self, columns=kept, num_rows=len(rows), numbers=numbers)

    def only(self, names: Collection[str]) -> "RawTable":
        """Return the table with some of its columns: what nobody reads takes no room."""
        return replace(self, columns={name: cells for name, cells in self.columns.items() if name in names})


def parse_table(file: str, content: bytes, form: TableFormat | None = None) -> RawTable:
    """Parse the bytes of a text table (`.csv`, `.tsv`, `.txt`, each also `.gz`), of `.xlsx` or of `.parquet`.

    Args:
        file: path below the source's URI; its extension says which.
        content: of the file.
        form: what the manifest says of it.

    Raises:
        SourceError: not such a file, a Git LFS pointer, no header, a row of another length, two columns of one name.
    """
    form = form or TableFormat()
    if is_git_lfs_pointer(content):
        raise SourceError(
            f"{file} is a Git LFS pointer, not the table itself: run `git lfs pull` where it comes from."
        )
    if file.endswith(".parquet"):
        return parse_parquet(file, {file: content}, form)
    if file.endswith(".xlsx"):
        from chex_jobs.data.tables.workbooks import read_sheet

        return _with_header(file, read_sheet(file, content, form))
    if file.endswith(".gz"):
        content = _unpacked(file, content)
    return _with_header(file, read_rows(file, content, form))


def parse_parquet(file: str, contents: Mapping[str, bytes], form: TableFormat | None = None) -> RawTable:
    """Parse one Parquet table from the files that make it up, in ascending order of their paths.

    Args:
        file: the table's path below the source's URI.
        contents: by path; a folder such as `sex=F/` on the way names a column and its value.
        form: what the manifest says of it.

    Raises:
        SourceError: not Parquet, or files whose columns do not fit together.
    """
    form = form or TableFormat()
    parts = [_parquet_part(path, contents[path], file) for path in sorted(contents)]
    try:
        table = pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{file}: the columns of its Parquet files do not fit together: {error}."
        ) from error
    except pa.ArrowTypeError as error:
        raise SourceError(f"{file}: a column has several types in its Parquet files: {error}.") from error
    check_names(file, table.column_names)
    columns = {name: Cells.of(_texts(table.column(name), form.decimal_mark)) for name in table.column_names}
    typed_lists = {column.name for column in table.schema if _is_list(column.type)}
    formats = dict.fromkeys(typed_lists, ColumnFormat(separators=LIST_SEPARATOR))
    return RawTable(file, columns, table.num_rows, formats=formats)


def _parquet_part(path: str, content: bytes, file: str) -> pa.Table:
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is not a readable Parquet file: {error}.") from error
    for part in path.removeprefix(file).split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name not in table.column_names:
            told = None if value == _NO_PARTITION else urllib.parse.unquote(value)
            table = table.append_column(name, pa.array([told] * table.num_rows, pa.string()))
    plain = [_plainly_typed(column) for column in table.columns]
    return pa.Table.from_arrays(plain, [_column_name(name) for name in table.column_names])


def _plainly_typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without types that become text as nobody means them.

    Categories become their values. A short float becomes the shortest number that it stands for: 7.3, not 7.300000190734863,
    which is outside every range that ends at 7.3.
    """
    if pa.types.is_dictionary(column.type):
        return _plainly_typed(column.cast(column.type.value_type))
    if pa.types.is_float32(column.type) or pa.types.is_float16(column.type):
        short = column.type.to_pandas_dtype()
        numbers = (None if value is None else float(str(short(value))) for value in column.to_pylist())
        return pa.chunked_array([pa.array(numbers, pa.float64())])
    return column


def _texts(column: pa.ChunkedArray, mark: DecimalMark) -> Iterator[str]:
    for start in range(0, len(column), AT_ONCE):
        yield from (cell_text(value, mark) for value in _values(column.slice(start, AT_ONCE)))


def _values(column: pa.ChunkedArray) -> list[object]:
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):  # times beyond the years that Python knows
        return column.cast(pa.string()).to_pylist()


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _unpacked(file: str, content: bytes) -> bytes:
    """Unpack gzip, which may be several members after each other."""
    unpacked = io.BytesIO()
    try:
        while content:
            decompressor = zlib.decompressobj(_GZIP)
            while not decompressor.eof:
                if not content:
                    raise SourceError(f"{file} cannot be unpacked: it ends before its content does.")
                unpacked.write(decompressor.decompress(content, _PIECE))
                content = decompressor.unconsumed_tail
                if unpacked.tell() > MAX_TABLE_BYTES:
                    raise SourceError(f"{file} unpacks to more than {MAX_TABLE_BYTES} bytes; no table does.")
            content = decompressor.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise SourceError(f"{file} cannot be unpacked: {error}.") from error
    return unpacked.getvalue()


def _column_name(written: str) -> str:
    return unicodedata.normalize("NFC", written.strip())


def _with_header(file: str, rows: Iterable[list[str]]) -> RawTable:
    """Return the table of rows of cells, the first of which names the columns.

    Columns without a name are dropped where they hold nothing, as are rows that hold nothing: spreadsheets write both. So is a
    first column without a name that counts the rows, which pandas writes.
    """
    rest = iter(rows)
    first = next(rest, None)
    if first is None:
        raise SourceError(f"{file} is empty: not even a header.")
    header = [_column_name(name) for name in first]
    while header and not header[-1]:
        header.pop()
    parts: list[list[pa.Array]] = [[] for _ in header]
    numbers = array("q")
    filled: dict[int, int] = {}
    for some in in_parts(_rows_with_cells(file, rest, len(header), numbers, filled)):
        for column, cells in zip(parts, zip(*some, strict=True), strict=True):
            column.append(encoded(cells))
    for index, name in enumerate(header):
        if not name and index in filled and not (index == 0 and _counts_rows(parts[0])):
            raise SourceError(
                f"{file}: column {index + 1} has no name, yet row {filled[index]} after the header has a cell there."
            )
    check_names(file, [name for name in header if name])
    columns: dict[str, Sequence[str]] = {
        name: Cells(chunked(part)) for name, part in zip(header, parts, strict=True) if name
    }
    return RawTable(file, columns, len(numbers), numbers)


def _counts_rows(column: Sequence[pa.Array]) -> bool:
    """Tell whether the cells of a column are whole numbers, each another: the index that a program writes beside a table."""
    cells = [cell.strip() for cell in Cells[str](chunked(column))]
    return all(cell.isdecimal() for cell in cells) and len(set(cells)) == len(cells)


def _rows_with_cells(
    file: str, rows: Iterator[list[str]], width: int, numbers: array, filled: dict[int, int]
) -> Iterator[list[str]]:
    """Yield the rows that hold anything; their numbers, and the first row that fills a column, are left behind."""
    for number, row in enumerate(rows, start=1):
        if not any(cell.strip() for cell in row):
            continue
        numbers.append(number)
        fitted = _fitted(file, number, row, width)
        if len(filled) < width:
            for index, cell in enumerate(fitted):
                if index not in filled and cell.strip():
                    filled[index] = number
        yield fitted


def _fitted(file: str, number: int, row: list[str], width: int) -> list[str]:
    """Return a row at the width of the header: empty cells beyond it are no cells."""
    if len(row) < width or any(cell.strip() for cell in row[width:]):
        raise SourceError(f"{file}, row {number} after the header: {len(row)} cells under {width} columns.")
    return row[:width]


def check_names(file: str, names: Collection[str]) -> None:
    """Raise `SourceError` where two columns share a name."""
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise SourceError(f"{file} has two columns named {doubled[0]!r}; rename one.")
