"""Several rows of a table that name one film: readers, boxes, or a row for each finding.

A film is one patient's and has one view, whatever rows say of it: rows that contradict each other there are refused. Labels
are merged as each task says. Nothing is ever decided by which row comes first.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Merge, Task
from chex_jobs.data.errors import ColumnError, SourceError
from chex_jobs.data.labels.filters import rows_kept
from chex_jobs.data.labels.task_labels import UNKNOWN, read_labels
from chex_jobs.data.records.film_table import FilmTable
from chex_jobs.data.records.films import Films
from chex_jobs.data.records.findings import Finding, Kind
from chex_jobs.data.tables.cells import Cells
from chex_jobs.data.tables.columns import PLAIN, ColumnFormat

Labels = npt.NDArray[np.float32]
_ONE: Sequence[float] = ()
"""Stands for what a film of one row says, which is what the row says."""

_FACTS: tuple[tuple[str, Callable[[Films], Sequence[str | None]]], ...] = (
    ("patients", lambda films: films.patients),
    ("studies", lambda films: films.studies),
    ("views", lambda films: films.views),
    ("reports", lambda films: films.reports),
    ("official parts of the split", lambda films: films.officials),
)


def films_of(table: FilmTable) -> list[range]:
    """Return the rows of each film, in the order of the table."""
    lengths = (sum(1 for _ in same) for _, same in itertools.groupby(table.films.keys))
    ends = itertools.accumulate(lengths, initial=0)
    return [range(start, end) for start, end in itertools.pairwise(ends)]


def check_one_film_each(table: FilmTable, films: Sequence[Sequence[int]]) -> None:
    """Raise `SourceError` where the rows of a film differ in what a film has only one of. Names all that differs."""
    several = [rows for rows in films if len(rows) > 1]
    facts = [(what, fact(table.films)) for what, fact in _FACTS]
    facts += [(f"values of column {name!r}", cells) for name, cells in table.metadata.items()]
    told: list[str] = []
    for what, values in facts:
        differing = [rows for rows in several if len({values[row] for row in rows}) > 1]
        if differing:
            row = table.films.rows[differing[0][0]]
            told.append(f"{len(differing)} films have rows with different {what} (row {row})")
    if told:
        raise SourceError(
            f"{'; '.join(told)}: a film has one of each. Leave rows out with `where`, or name a column that holds the same "
            "in all rows of a film."
        )


def merged_labels(
    tasks: Iterable[Task], table: FilmTable, films: Sequence[Sequence[int]]
) -> tuple[dict[str, Labels], list[Finding]]:
    """Return the labels of every task by film, float32 [F], and what is worth telling of them.

    Args:
        tasks: of the data set; their columns, and those of their `where`, are in the table.
        table: with a row for each row of the source.
        films: rows of each film, [F].

    Raises:
        ColumnError: names every task whose column cannot answer it, or whose rows disagree and say not how to merge them.
    """
    labels: dict[str, Labels] = {}
    findings: list[Finding] = []
    faults: list[str] = []
    for task in tasks:
        try:
            labels[task.name], told = _of_task(task, table, films)
            findings += told
        except ColumnError as error:
            faults.append(str(error))
    if faults:
        raise ColumnError(" ".join(faults))
    return labels, findings


def _of_task(
    task: Task, table: FilmTable, films: Sequence[Sequence[int]]
) -> tuple[Labels, tuple[Finding, ...]]:
    formats: Mapping[str, ColumnFormat] = table.formats
    answering = rows_kept(task.where, table.columns, formats, len(table.films), f"task {task.name!r}: where")
    cells = Cells.of(table.columns[task.column]).select(answering)
    told = read_labels(task, cells, formats.get(task.column, PLAIN), table.films.rows[answering].tolist())
    of_row, answers = np.full(len(table.films), np.nan, np.float32), np.zeros(len(table.films), np.bool_)
    of_row[answering], answers[answering] = told.values, True
    said = [[float(of_row[row]) for row in rows if answers[row]] if len(rows) > 1 else _ONE for rows in films]
    if task.merge is None:
        _check_agreement(task, table, films, said)
    blank = UNKNOWN if task.blank_is_unknown() else 0.0
    values = np.where(answers, of_row, np.float32(blank))[[rows[0] for rows in films]]
    for film, each in enumerate(said):
        if each is not _ONE:
            values[film] = _merged(task.merge, each) if each else blank
    silent = (
        [] if answers.all() else [int(table.films.rows[each[0]]) for each in films if not answers[each].any()]
    )
    return values, (*told.findings, *_without_a_row(task, silent))


def _without_a_row(task: Task, silent: Sequence[int]) -> list[Finding]:
    """Return the finding that films, given by a row of each, have no row that answers a task; none for no films."""
    if not silent:
        return []
    reason = f"no row of the film answers, so {'unknown' if task.blank_is_unknown() else 'no'}"
    return [
        Finding(
            kind=Kind.MISSING,
            reason=reason,
            count=len(silent),
            row=min(silent),
            subject=f"task {task.name!r}",
        )
    ]


def _check_agreement(
    task: Task, table: FilmTable, films: Sequence[Sequence[int]], said: Sequence[Sequence[float]]
) -> None:
    disagreeing = [rows for rows, each in zip(films, said, strict=True) if len(set(map(str, each))) > 1]
    if disagreeing:
        raise ColumnError(
            f"task {task.name!r}: {len(disagreeing)} films have several rows that disagree in column {task.column!r} (row "
            f"{table.films.rows[disagreeing[0][0]]}); say the task's `merge` (any, all, majority or meanAbove), or with its "
            "`where` which rows answer it."
        )


def _merged(merge: Merge | None, said: Sequence[float]) -> float:
    """Return the label of a film from those of its rows, of which there is one at least."""
    known = [label for label in said if not np.isnan(label)]
    if not known:
        return UNKNOWN
    share = sum(known) / len(known)
    if merge is None or merge.any is not None:
        return float(share > 0)
    if merge.all is not None:
        return float(share == 1)
    if merge.mean_above is not None:
        return float(share > merge.mean_above)
    return UNKNOWN if share == 0.5 else float(share > 0.5)
