"""Cells of a table as text, and how a source writes them. Shared by the readers of tables and by labels."""

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColumnFormat:
    """How a source writes a column.

    Attributes:
        separators: characters that part the values of a cell that lists several; empty: a cell is one value.
        unknown: values (lower case) that the source uses for "not known": one of them makes the whole cell unknown,
            and the empty string stands for blank cells.
    """

    separators: str = ""
    unknown: frozenset[str] = frozenset()

    def values(self, cell: str) -> list[str]:
        """Return the values that a cell lists, without outer blanks; none for a blank cell."""
        parts = re.split(f"[{re.escape(self.separators)}]", cell) if self.separators else [cell]
        return [part.strip() for part in parts if not is_blank(part)]

    def is_unknown(self, cell: str) -> bool:
        """Tell whether the source itself says that it does not know."""
        if not self.unknown:
            return False
        values = self.values(cell)
        return any(value.casefold() in self.unknown for value in values) or (
            "" in self.unknown and not values
        )


PLAIN = ColumnFormat()


def is_blank(cell: str) -> bool:
    """Tell whether a cell holds nothing. `nan` counts as nothing: it is how table libraries write a missing number."""
    return cell.strip().casefold() in ("", "nan")


def number(value: str) -> float | None:
    """Return a cell as a finite number, or None."""
    try:
        result = float(value)
    except ValueError:
        return None
    return result if math.isfinite(result) else None


def comparable(value: str) -> str | float:
    """Return what two cells are compared by: numbers as numbers, for a Parquet column says `1.0` where one writes `1`."""
    as_number = number(value)
    return value.strip() if as_number is None else as_number


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most like `word`, regardless of case; `known` must not be empty."""
    by_folded = {name.casefold(): name for name in sorted(known, reverse=True)}
    return by_folded[difflib.get_close_matches(word.casefold(), sorted(by_folded), n=1, cutoff=0.0)[0]]
