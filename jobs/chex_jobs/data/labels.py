"""From a cell of a table to a label: 1 yes, 0 no, NaN not known.

A cell is looked at in this order:

1. A value that the source itself defines as not known (`todo` in covid-chestxray-dataset): NaN.
2. Blank (nothing, blanks, or `nan`): as the task's `blank` says; where it says nothing, NaN for `range` (what was not
   measured is no small value) and 0 for the others.
3. `present`: anything that is left is 1. `range`: 1 inside, 0 outside, NaN when it is no number.
   `values`: 1 when the cell holds, or lists, one of them; else, when it is one of `uncertainValues`, as `uncertain`
   says; else 0.

`uncertainValues` apply to `values` only: -1 is CheXpert's mark for an uncertain finding, but an honest number in a
column of offsets or laboratory values, which `present` and `range` read.
"""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Task, ValueRange
from chex_jobs.data.columns import PLAIN, ColumnFormat, comparable, is_blank, nearest, number
from chex_jobs.data.errors import ColumnError

UNKNOWN = math.nan
RESEMBLANCE = 0.6
"""Of a value and one that was perhaps meant, as `difflib` measures it: what it calls a close match."""
CELLS_OF_A_CATEGORY = 20
"""A column that has so many cells for each of its values sorts films, and names nobody."""


def labels(task: Task, cells: Sequence[str], column_format: ColumnFormat = PLAIN) -> npt.NDArray[np.float32]:
    """Return the labels of a task, float32 [N], from the cells of its column.

    Raises:
        ColumnError: none of the task's `values` ever occurs, or `range` meets no number, in a column that is not
            blank: a typing error in the manifest would otherwise make a task without positives.
    """
    predicate = _predicate(task)
    blank = UNKNOWN if task.blank_is_unknown() else 0.0
    meaning: dict[str, float] = {}
    for cell in set(cells):
        if column_format.is_unknown(cell):
            meaning[cell] = UNKNOWN
        elif is_blank(cell):
            meaning[cell] = blank
        else:
            meaning[cell] = predicate(column_format.values(cell))
    _check_meets_column(task, meaning, len(cells), column_format)
    return np.fromiter((meaning[cell] for cell in cells), np.float32, len(cells))


def label_columns(
    tasks: Iterable[Task], columns: Mapping[str, Sequence[str]], formats: Mapping[str, ColumnFormat]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the labels of every task by task name. The columns are known to exist (`FilmTable` checked them)."""
    return {task.name: labels(task, columns[task.column], formats.get(task.column, PLAIN)) for task in tasks}


def _predicate(task: Task) -> Callable[[list[str]], float]:
    if task.positive.present is not None:
        return lambda _: 1.0
    if task.positive.range is not None:
        closed = task.positive.range
        return lambda values: _in_range(values, closed)
    assert task.positive.values is not None
    positive = [comparable(value) for value in task.positive.values]
    uncertain = [comparable(value) for value in task.uncertain_values]
    uncertain_means = {"Ignore": UNKNOWN, "Negative": 0.0, "Positive": 1.0}[task.uncertain]

    def one_of(values: list[str]) -> float:
        found = [comparable(value) for value in values]
        if any(value in positive for value in found):
            return 1.0
        return uncertain_means if any(value in uncertain for value in found) else 0.0

    return one_of


def _in_range(values: list[str], closed: ValueRange) -> float:
    numbers = [found for found in map(number, values) if found is not None]
    if not numbers:
        return UNKNOWN
    low = -math.inf if closed.min is None else closed.min
    high = math.inf if closed.max is None else closed.max
    return float(any(low <= found <= high for found in numbers))


def _check_meets_column(
    task: Task, meaning: Mapping[str, float], cells: int, column_format: ColumnFormat
) -> None:
    told = [cell for cell in meaning if not is_blank(cell) and not column_format.is_unknown(cell)]
    if not told:
        return
    if task.positive.range is not None and all(math.isnan(meaning[cell]) for cell in told):
        raise ColumnError(
            f"task {task.name!r}: positive.range needs numbers, and column {task.column!r} holds none."
        )
    if task.positive.values is None:
        return
    present = {value for cell in told for value in column_format.values(cell)}
    if {comparable(value) for value in present}.isdisjoint(
        comparable(value) for value in task.positive.values
    ):
        raise ColumnError(
            f"task {task.name!r}: none of positive.values {list(task.positive.values)} occurs in column "
            f"{task.column!r}; {_what_is_there(task.positive.values[0], present, cells)}."
        )


def _what_is_there(asked: str, present: set[str], cells: int) -> str:
    """A value of the column that was perhaps meant. Of a column of names or reports, which is a slip too, nothing is told."""
    near = nearest(asked, present)
    resembles = difflib.SequenceMatcher(None, asked.casefold(), near.casefold()).ratio() >= RESEMBLANCE
    is_category = len(present) * CELLS_OF_A_CATEGORY <= cells
    if resembles or is_category:
        return f"the nearest value there is {near!r}"
    return f"it holds {len(present)} different values, none of which resembles that"
