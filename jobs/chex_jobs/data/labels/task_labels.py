"""From the cells of a table to labels: 1 yes, 0 no, NaN not known.

A cell is looked at in this order. Values are compared without regard to case, numbers as numbers.

1. A value that the source itself defines as not known (`todo` in covid-chestxray-dataset): NaN.
2. Blank (nothing, or a spelling of missing that the task does not name itself): as the task's `blank` says; where it
   says nothing, NaN for `range` (what was not measured is no small value) and 0 for the others.
3. `present`: 1, unless all that the cell holds is named by `except`. `range`: 1 inside, 0 outside, NaN when it is no
   number. `values`: 1 when the cell holds, or lists, one of them; else, when it is one of `uncertainValues`, as
   `uncertain` says; else 0 - but NaN where `negativeValues` are given and it is none of them, or where a column of yes
   and no says yes in another word.

`uncertainValues` apply to `values` only: -1 is CheXpert's mark for an uncertain finding, but an honest number in a
column of offsets or laboratory values, which `present` and `range` read.

What cannot be told from the cells alone is refused: numbers with the other decimal mark, and cells that list a value of
the task in a column of which nobody says that it lists values.
"""

import difflib
import functools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Task, ValueRange
from chex_jobs.data.errors import ColumnError
from chex_jobs.data.records.findings import Finding, Kind, spellings_found
from chex_jobs.data.tables.columns import (
    PLAIN,
    ColumnFormat,
    comparable,
    folded,
    has_other_mark,
    means_with_other_mark,
    nearest,
    number,
    sorts_films,
)

UNKNOWN = math.nan
RESEMBLANCE = 0.6
"""Of a value and one that was perhaps meant, as `difflib` measures it: what it calls a close match."""

_YES_WORDS = "yes y true t 1 ja j wahr oui vrai si sí sim positive positiv positivo positif present +"
_NO_WORDS = "no n false f 0 nein falsch non faux não nao negative negativ negativo négatif neg absent none -"
YES, NO = (frozenset(map(comparable, words.split())) for words in (_YES_WORDS, _NO_WORDS))
"""Words of which a column of yes and no is made. A task names those of its own column; these tell the ones it forgot."""

_LIST_SEPARATORS = ("|", ";", ",", "/", "+", "&", "\n", "\t", "^", "~")
_ONLY_NUMBERS = re.compile(r"[\d\s.,:/+-]+")
_NUMBER_LIST_SEPARATORS = ("|", ";")
"""Of the above, those that part no digits of one number, date or time."""


class _Predicate(Protocol):
    """What a task asks of the values of a cell that is not blank."""

    def __call__(self, values: list[str], /) -> "_Meaning": ...


@dataclass(frozen=True, slots=True)
class _Meaning:
    """Label of a cell, and why it is worth telling, if it is."""

    label: float
    told_as: Kind | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TaskLabels:
    """Labels of one task.

    Attributes:
        values: float32 [N].
        findings: what was not understood, what is missing, and what is negative because nothing names it.
    """

    values: npt.NDArray[np.float32]
    findings: tuple[Finding, ...] = field(default=())


def labels(task: Task, cells: Sequence[str], column_format: ColumnFormat = PLAIN) -> npt.NDArray[np.float32]:
    """Return the labels of a task, float32 [N]; see `read_labels`."""
    return read_labels(task, cells, column_format).values


def read_labels(
    task: Task,
    cells: Sequence[str],
    column_format: ColumnFormat = PLAIN,
    row_numbers: Sequence[int] | None = None,
) -> TaskLabels:
    """Return the labels of a task from the cells of its column, and what is worth telling of them.

    Args:
        task: what is asked.
        cells: of the task's column, [N].
        column_format: how the source writes the column.
        row_numbers: number of each cell's row in the table, [N]; 1 to N if absent.

    Raises:
        ColumnError: the column cannot answer. None of the task's `values` ever occurs, or `range` meets no number, in a
            column that is not blank (a typing error in the manifest would otherwise make a task without positives);
            numbers have the other decimal mark; cells list a value of the task and nobody says that the column does.
    """
    column = _Column(task, cells, column_format, row_numbers or range(1, len(cells) + 1))
    blank = _Meaning(
        UNKNOWN if task.blank_is_unknown() else 0.0, Kind.MISSING, "blank, or another word for missing"
    )
    predicate = _predicate(task, column_format)
    meaning: dict[str, _Meaning] = {}
    for cell in column.counts:
        if column_format.is_unknown(cell, column.named):
            meaning[cell] = _Meaning(UNKNOWN)
        elif column_format.is_missing(cell, column.named) or not column_format.values(cell, column.named):
            meaning[cell] = blank
        else:
            meaning[cell] = predicate(column_format.values(cell, column.named))
    _check_decimal_marks(column)
    _check_lists(column)
    _check_meets_column(column, meaning)
    values = np.fromiter((meaning[cell].label for cell in cells), np.float32, len(cells))
    return TaskLabels(values, tuple(_findings(column, meaning)))


class _Column:
    """The cells that a task reads, and what its messages need."""

    def __init__(
        self, task: Task, cells: Sequence[str], column_format: ColumnFormat, row_numbers: Sequence[int]
    ) -> None:
        self.task, self.cells, self.format, self.row_numbers = task, cells, column_format, row_numbers
        self.counts = Counter(cells)
        self.asked = [
            *(task.positive.values or ()),
            *(task.positive.present.except_ if task.positive.present else ()),
        ]
        self.named = frozenset(map(folded, [*self.asked, *task.negative_values, *task.uncertain_values]))

    @functools.cached_property
    def told(self) -> list[str]:
        """The different cells that are not blank and not unknown to the source."""
        return [
            cell
            for cell in self.counts
            if self.format.values(cell, self.named) and not self.format.is_unknown(cell, self.named)
        ]

    def is_category(self) -> bool:
        """Tell whether the column sorts films, so that its spellings name nobody."""
        values = {folded(value) for cell in self.told for value in self.format.values(cell, self.named)}
        return sorts_films(values, len(self.cells))

    def count_and_row(self, cells: Collection[str]) -> tuple[int, int]:
        """Return how many cells are one of these, and the number of the first row of them."""
        first = next(row for cell, row in zip(self.cells, self.row_numbers, strict=True) if cell in cells)
        return sum(self.counts[cell] for cell in cells), first


def _predicate(task: Task, column_format: ColumnFormat) -> _Predicate:
    mark = column_format.decimal_mark
    if task.positive.present is not None:
        no = {comparable(value) for value in task.positive.present.except_}
        return lambda values: _Meaning(float(any(comparable(value, mark) not in no for value in values)))
    if task.positive.range is not None:
        closed = task.positive.range
        return lambda values: _in_range([number(value, mark) for value in values], closed)
    return _one_of(task, column_format)


def _in_range(found: list[float | None], closed: ValueRange) -> _Meaning:
    numbers = [value for value in found if value is not None]
    if not numbers:
        return _Meaning(UNKNOWN, Kind.NOT_UNDERSTOOD, "is no number, so unknown")
    low = -math.inf if closed.min is None else closed.min
    high = math.inf if closed.max is None else closed.max
    return _Meaning(float(any(low <= value <= high for value in numbers)))


def _one_of(task: Task, column_format: ColumnFormat) -> _Predicate:
    positive = {comparable(value) for value in task.positive.values or ()}
    negative = {comparable(value) for value in task.negative_values}
    uncertain = {comparable(value) for value in task.uncertain_values}
    uncertain_means = {"Ignore": UNKNOWN, "Negative": 0.0, "Positive": 1.0}[task.uncertain]
    is_yes_or_no = positive <= YES

    def meaning(values: list[str]) -> _Meaning:
        found = {comparable(value, column_format.decimal_mark) for value in values}
        if found & positive:
            return _Meaning(1.0)
        if found & uncertain:
            return _Meaning(uncertain_means)
        if found <= negative:
            return _Meaning(0.0)
        if negative:
            return _Meaning(UNKNOWN, Kind.NOT_UNDERSTOOD, "is neither yes nor no, so unknown")
        if is_yes_or_no and found & YES:
            return _Meaning(
                UNKNOWN, Kind.NOT_UNDERSTOOD, "may mean yes, but is not in positive.values, so unknown"
            )
        if is_yes_or_no and found <= NO:
            return _Meaning(0.0)
        return _Meaning(0.0, Kind.COUNTED_AS_NO, "not in positive.values")

    return meaning


def _findings(column: _Column, meaning: Mapping[str, _Meaning]) -> list[Finding]:
    told: dict[tuple[Kind, str], list[tuple[str, int]]] = {}
    for cell, row in zip(column.cells, column.row_numbers, strict=True):
        means = meaning[cell]
        if means.told_as is not None:
            values = column.format.values(cell, column.named) if column.format.separators else [cell]
            told.setdefault((means.told_as, means.reason), []).extend(
                (value, row) for value in values or [""]
            )
    return [
        finding
        for (kind, reason), cells in told.items()
        for finding in spellings_found(
            kind,
            reason,
            cells,
            subject=f"task {column.task.name!r}",
            may_be_told=kind is Kind.MISSING or column.is_category(),
        )
    ]


def _check_decimal_marks(column: _Column) -> None:
    """Refuse numbers with the other mark, where numbers are asked for or it alone keeps a cell from a value that is named."""
    task, mark = column.task, column.format.decimal_mark
    named = {comparable(value) for value in (*column.asked, *task.negative_values, *task.uncertain_values)}
    asks_numbers = task.positive.range is not None or any(
        isinstance(comparable(value), float) and not float(comparable(value)).is_integer()
        for value in column.asked
    )

    def is_wrong(value: str) -> bool:
        return has_other_mark(value, mark) if asks_numbers else means_with_other_mark(value, named, mark)

    wrong = [cell for cell in column.told if any(map(is_wrong, column.format.values(cell, column.named)))]
    if wrong:
        count, row = column.count_and_row(wrong)
        other = "Comma" if mark == "Point" else "Point"
        raise ColumnError(
            f"task {task.name!r}: {count} cells of column {task.column!r} are numbers with a decimal {other.lower()} "
            f"(row {row}), and source.table.decimalMark is {mark}; set it to {other}, or write all numbers with one mark."
        )


def _check_lists(column: _Column) -> None:
    """Refuse cells that list a value asked for beside others, where nobody says that the column lists values."""
    asked = {comparable(value): value for value in column.asked}
    if column.format.says_lists or not asked:
        return
    found: dict[tuple[str, str], list[str]] = {}
    for cell in column.told:
        if comparable(cell, column.format.decimal_mark) in asked:
            continue
        for separator in _separators_of(cell):
            parts = ColumnFormat(separators=separator).values(cell)
            beside = [part for part in parts if comparable(part) in asked]
            if beside and len(parts) > 1:
                found.setdefault((separator, asked[comparable(beside[0])]), []).append(cell)
                break
    if not found:
        return
    separator, value = max(found, key=lambda key: sum(column.counts[cell] for cell in found[key]))
    count, row = column.count_and_row([cell for cells in found.values() for cell in cells])
    raise ColumnError(
        f"task {column.task.name!r}: {count} cells of column {column.task.column!r} list a value of the task, such as "
        f"{value!r}, beside others, parted by {separator!r} (row {row}). Say so with source.table.lists: "
        f"{{column: {column.task.column}, separator: {separator!r}}}, or separator '' if such a cell is one value."
    )


def _separators_of(cell: str) -> list[str]:
    known = _NUMBER_LIST_SEPARATORS if _ONLY_NUMBERS.fullmatch(cell) else _LIST_SEPARATORS
    return [separator for separator in known if separator in cell]


def _check_meets_column(column: _Column, meaning: Mapping[str, _Meaning]) -> None:
    task, told = column.task, column.told
    if not told:
        return
    if task.positive.range is not None and all(math.isnan(meaning[cell].label) for cell in told):
        raise ColumnError(
            f"task {task.name!r}: positive.range needs numbers, and column {task.column!r} holds none."
        )
    if task.positive.values is None:
        return
    present = {value for cell in told for value in column.format.values(cell, column.named)}
    if {comparable(value, column.format.decimal_mark) for value in present}.isdisjoint(
        comparable(value) for value in task.positive.values
    ):
        raise ColumnError(
            f"task {task.name!r}: none of positive.values {list(task.positive.values)} occurs in column "
            f"{task.column!r}; {what_is_there(task.positive.values[0], present, len(column.cells))}."
        )


def what_is_there(asked: str, present: Iterable[str], cells: int) -> str:
    """Return the value of a column that was perhaps meant. Of a column of names or reports, which is a slip too, nothing is told."""
    different = set(present)
    near = nearest(asked, different)
    resembles = difflib.SequenceMatcher(None, asked.casefold(), near.casefold()).ratio() >= RESEMBLANCE
    if resembles or sorts_films(different, cells):
        return f"the nearest value there is {near!r}"
    return f"it holds {len(different)} different values, none of which resembles that"
