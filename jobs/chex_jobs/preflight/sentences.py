"""An outlook in lines for people: on a terminal with examples that name files, in a log of a cluster without them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

MOST_LINES = 40
"""Of findings of one data set; the rest is told as a number. JSON output holds all."""
_KINDS = {
    "LeftOut": "left out",
    "Unusable": "cannot be used",
    "NoReport": "without report",
    "Missing": "counted as missing",
    "NotUnderstood": "not understood",
    "CountedAsNo": "counted as no",
    "Notice": "notice",
}


def dataset_lines(name: str, outlook: Mapping[str, Any], *, with_names: bool = True) -> Iterator[str]:
    """Yield what a data set holds and will come to.

    Args:
        name: of the data set.
        outlook: a `DatasetOutlook` as plain data.
        with_names: whether examples may name files.
    """
    yield (
        f"{name}: {outlook['films']} films of {outlook['patients']} patients, {outlook['training_films']} to train on"
    )
    for task in outlook["tasks"]:
        yield from _task_lines(task)
    lines = [_finding_line(list(alike), with_names) for _, alike in groupby(outlook["findings"], key=_about)]
    yield from (f"  {line}" for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        yield f"  … and {len(lines) - MOST_LINES} more findings; `-o json` lists them"


def _task_lines(task: Mapping[str, Any]) -> Iterator[str]:
    """A small table: parts by class, films (patients); then what it will come to."""
    header = ("", "positive", "negative", "unknown")
    rows = [
        (part, *(f"{classes[name]['films']} ({classes[name]['patients']})" for name in header[1:]))
        for part, classes in task["parts"].items()
    ]
    yield f"  task {task['task']}: films (patients)"
    yield from (f"    {line}" for line in _columns([header, *rows]))
    if task["not_trained"]:
        yield f"    will not be trained: {task['not_trained']}"
    elif task["insufficient"]:
        yield f"    will end in: {task['insufficient']}"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )


def _about(finding: Mapping[str, Any]) -> tuple[str, str, str]:
    """What findings that differ by their spelling alone have in common: they stand in one line."""
    return finding["kind"], finding["subject"], finding["reason"]


def _finding_line(alike: Sequence[Mapping[str, Any]], with_names: bool) -> str:
    kind, subject, reason = _about(alike[0])
    what = f"{subject}: {reason}" if subject else reason
    return f"{_KINDS[kind]}: {what}: {', '.join(_count(finding, with_names) for finding in alike)}"


def _count(finding: Mapping[str, Any], with_names: bool) -> str:
    spelling = f"{finding['spelling']!r} " if finding["spelling"] else ""
    row = f" (such as row {finding['row']})" if finding["row"] else ""
    example = f" ({finding['private']})" if with_names and finding["private"] else ""
    return f"{spelling}{finding['count']}{row}{example}"
