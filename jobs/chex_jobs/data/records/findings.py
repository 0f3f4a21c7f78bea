"""What reading a source found worth telling before anything is computed: counts, each with a row to look at.

A finding is no fault: the source can be read. It says which rows became no film, which spellings were not understood, and
what looks like a slip of the manifest. Everything but `private` may be printed and stored; `private` holds the names of
files and is for the terminal of the one who has the files.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_SPELLINGS = 12
"""That are told of one column; the rest is told as one number."""


class Kind(StrEnum):
    """What a finding is about, in the order in which people should read it."""

    UNUSABLE = "Unusable"
    """Rows that will be set aside: no patient, no file. They count against `quarantine.maxShare`."""
    LEFT_OUT = "LeftOut"
    """Rows that are no film of this data set: a filter, another view, no film named. They count in the patient flow."""
    NOT_UNDERSTOOD = "NotUnderstood"
    """Cells whose spelling says neither yes nor no, is no number, or names no view."""
    NOTICE = "Notice"
    """What looks like a slip, though it can be read."""
    NO_REPORT = "NoReport"
    """Films that stay, without their report."""
    COUNTED_AS_NO = "CountedAsNo"
    """Cells that are negative because nothing names them, by spelling."""
    MISSING = "Missing"
    """Cells that count as missing, by spelling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found, and how often.

    Attributes:
        kind: what it is about.
        reason: in words; findings of one kind, subject and reason are one.
        count: rows, cells or films.
        row: number of an example row, 1 for the first after the header; None where no single row shows it.
        subject: name of the task, or path of the manifest field, that it concerns; empty: the data set.
        spelling: of the cells counted, where the column sorts films; never of a column that names people.
        private: an example with names of files, such as the wanted and the nearest existing name.
    """

    kind: Kind
    reason: str
    count: int
    row: int | None = None
    subject: str = ""
    spelling: str = ""
    private: str = ""


def spellings_found(
    kind: Kind, reason: str, cells: Iterable[tuple[str, int]], *, subject: str, may_be_told: bool
) -> list[Finding]:
    """Return a finding for each spelling among cells, most frequent first.

    Args:
        kind: of the findings.
        reason: of the findings.
        cells: the spelling of each cell counted, and the number of its row.
        subject: task or field.
        may_be_told: whether the spellings themselves may be printed; else one finding tells their number.
    """
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    for cell, row in cells:
        counts[cell.strip()] += 1
        first.setdefault(cell.strip(), row)
    if not counts:
        return []
    if not may_be_told:
        words = f"{reason} ({len(counts)} different spellings)"
        return [
            Finding(kind=kind, reason=words, count=counts.total(), row=min(first.values()), subject=subject)
        ]
    ranked = sorted(counts, key=lambda spelling: (-counts[spelling], spelling))
    told = [
        Finding(
            kind=kind,
            reason=reason,
            count=counts[spelling],
            row=first[spelling],
            subject=subject,
            spelling=spelling,
        )
        for spelling in ranked[:MOST_SPELLINGS]
    ]
    rest = ranked[MOST_SPELLINGS:]
    if rest:
        words = f"{reason} ({len(rest)} more spellings)"
        count = sum(counts[spelling] for spelling in rest)
        told.append(Finding(kind=kind, reason=words, count=count, row=first[rest[0]], subject=subject))
    return told


def left_out(reason: str, rows: Sequence[int]) -> list[Finding]:
    """Return the finding that rows, given by their numbers, are no film of this data set; none for no rows."""
    return [Finding(kind=Kind.LEFT_OUT, reason=reason, count=len(rows), row=rows[0])] if rows else []
