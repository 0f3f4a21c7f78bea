"""Which rows a `where` of the manifest keeps. Cells are compared as labels are."""

from collections.abc import Mapping, Sequence

from chex_api.dataset import RowFilter
from chex_jobs.data.errors import ColumnError
from chex_jobs.data.labels.task_labels import what_is_there
from chex_jobs.data.tables.columns import PLAIN, ColumnFormat, comparable, folded, means_with_other_mark


def kept(where: RowFilter, cells: Sequence[str], column_format: ColumnFormat = PLAIN) -> list[bool]:
    """Return whether each cell, [N], passes: it holds, or lists, one of `values` and none of `notValues`.

    An empty string in either stands for a missing cell.
    """
    named = frozenset(map(folded, (*where.values, *where.not_values)))
    wanted, unwanted = ({comparable(value) for value in given} for given in (where.values, where.not_values))
    passes: dict[str, bool] = {}
    for cell in set(cells):
        found = column_format.compared(cell, named)
        passes[cell] = (not wanted or bool(found & wanted)) and not found & unwanted
    return [passes[cell] for cell in cells]


def rows_kept(
    filters: Sequence[RowFilter],
    columns: Mapping[str, Sequence[str]],
    formats: Mapping[str, ColumnFormat],
    num_rows: int,
    field: str,
) -> list[int]:
    """Return the rows that pass every filter.

    Args:
        filters: of the manifest.
        columns: cells by column; those that the filters name are there.
        formats: by column; one that is not named is plain.
        num_rows: of every column.
        field: path of the filters, for the message.

    Raises:
        ColumnError: the filters leave nothing, or a decimal mark alone keeps a cell from a value that one names.
    """
    rows = list(range(num_rows))
    for number, where in enumerate(filters):
        cells = columns[where.column]
        passes = kept(where, cells, formats.get(where.column, PLAIN))
        if num_rows and not any(passes):
            raise ColumnError(
                f"{field}[{number}]: no cell of column {where.column!r} passes; {_asked(where, cells)}."
            )
        _check_decimal_marks(where, cells, formats.get(where.column, PLAIN), f"{field}[{number}]")
        rows = [row for row in rows if passes[row]]
    if num_rows and not rows:
        raise ColumnError(f"{field}: no row passes all {len(filters)} filters, though each lets some pass.")
    return rows


def _asked(where: RowFilter, cells: Sequence[str]) -> str:
    """Return what a filter that no cell passes asked for, and what there is."""
    if not where.values:
        return f"each is one of notValues {list(where.not_values)}"
    near = what_is_there(where.values[0], {cell for cell in cells if cell.strip()} or {""}, len(cells))
    return f"of values {list(where.values)}: {near}"


def _check_decimal_marks(
    where: RowFilter, cells: Sequence[str], column_format: ColumnFormat, field: str
) -> None:
    """Raise `ColumnError` where the decimal mark alone keeps a cell from a value that the filter names."""
    asked = {comparable(value) for value in (*where.values, *where.not_values)}
    mark = column_format.decimal_mark
    wrong = {
        cell
        for cell in set(cells)
        if any(means_with_other_mark(value, asked, mark) for value in column_format.values(cell))
    }
    count = sum(cell in wrong for cell in cells)
    if count:
        raise ColumnError(
            f"{field}: {count} cells of column {where.column!r} are numbers with the other decimal mark, and "
            f"source.table.decimalMark is {mark}; change it, or write all numbers with one mark."
        )
