"""Excel workbooks (`.xlsx`): the cells of one sheet, as text.

A workbook is a ZIP archive of XML, so a small file can unpack to any size. Each member is unpacked piece by piece and
thrown away before anything parses it, and a workbook that grows too large, or lies about its sizes, is refused.
"""

import io
import re
import zipfile
import zlib
from typing import IO, Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from chex_api.dataset import DecimalMark
from chex_jobs.data.errors import SourceError
from chex_jobs.data.tables.columns import nearest
from chex_jobs.data.tables.table_format import TableFormat, cell_text

MAX_UNPACKED_BYTES = 1 << 30
"""Of all members together. A sheet holds 1,048,576 rows at most; with thirty columns of numbers they are about 1 GB of XML."""
MAX_MEMBERS = 10_000
MAX_CELLS = 50_000_000
"""Of the rectangle that holds a sheet's cells, all of which a reader lays out: one lone cell in the last corner makes 17 billion."""
_PIECE = 1 << 20
_LONGEST_REFERENCE = 24
_REFERENCE = re.compile(rb"""\sr=["']([A-Z]{1,3})([0-9]{1,7})["']""")


def read_sheet(file: str, content: bytes, form: TableFormat) -> list[list[str]]:
    """Return the rows of cells of a sheet, the header first.

    Args:
        file: for messages.
        content: of the file.
        form: `sheet` and `decimal_mark` are looked at.

    Raises:
        SourceError: no workbook, one that unpacks to too much, no such sheet, or none said where several hold cells.
    """
    _check_size(file, content)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as workbook:
            name = form.sheet or _only_sheet(file, workbook)
            if name not in workbook.sheet_names:
                raise SourceError(
                    f"source.table.sheet: {file} has no sheet {name!r}; the nearest is "
                    f"{nearest(name, workbook.sheet_names)!r}."
                )
            sheet = workbook.get_sheet_by_name(name)
            rows = sheet.to_python(skip_empty_area=True)
            _fill_merged(file, rows, sheet)
    except CalamineError as error:
        raise SourceError(f"{file} is not a readable Excel workbook: {error}.") from error
    return [[_text(cell, form.decimal_mark) for cell in row] for row in rows]


def _fill_merged(file: str, rows: list[list[Any]], sheet: CalamineSheet) -> None:
    """Write the value of merged cells into each of them: a file holds it in the first, and the others would count as blank.

    Cells of the header stay as they are: two columns never have one name.
    """
    top, left = sheet.start or (0, 0)
    filled = 0
    for (first_row, first_column), (last_row, last_column) in sheet.merged_cell_ranges or ():
        if first_row <= top or first_column < left:
            continue
        covered = rows[first_row - top : last_row - top + 1]
        columns = slice(first_column - left, last_column - left + 1)
        for row in covered:
            width = len(row[columns])
            row[columns] = covered[0][columns][:1] * width
            filled += width
        if filled > MAX_CELLS:
            raise SourceError(f"{file}: its merged cells cover the sheet again and again.")


def _check_size(file: str, content: bytes) -> None:
    """Unpack every member once; zipfile checks that it is as long, and sums up, as the archive says."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
                raise SourceError(f"{file} unpacks to more than a workbook may: {MAX_UNPACKED_BYTES} bytes.")
            for member in members:
                with archive.open(member) as unpacked:
                    _check_extent(file, unpacked)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise SourceError(f"{file} is not a readable Excel workbook: {error}.") from error


def _check_extent(file: str, member: IO[bytes]) -> None:
    """Read a member to its end, and raise `SourceError` where it places cells so far apart that no memory holds them."""
    columns = rows = 0
    tail = b""
    while piece := member.read(_PIECE):
        for letters, digits in set(_REFERENCE.findall(tail + piece)):
            columns, rows = max(columns, _column_number(letters)), max(rows, int(digits))
        if columns * rows > MAX_CELLS:
            raise SourceError(
                f"{file}: a sheet of {rows} rows and {columns} columns is more than can be read."
            )
        tail = piece[-_LONGEST_REFERENCE:]


def _column_number(letters: bytes) -> int:
    """Return 1 for A, 26 for Z, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _only_sheet(file: str, workbook: CalamineWorkbook) -> str:
    filled = [name for name in workbook.sheet_names if workbook.get_sheet_by_name(name).height]
    if len(filled) != 1:
        names = ", ".join(repr(name) for name in filled[:8])
        raise SourceError(
            f"{file} has {len(filled)} sheets that hold cells{f' ({names})' if filled else ''}; say source.table.sheet."
        )
    return filled[0]


def _text(cell: Any, mark: DecimalMark) -> str:
    """Return a cell as text. Excel holds every number as a float: whole ones are written without decimals."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell_text(cell, mark)
