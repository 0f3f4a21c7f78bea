"""Cells of a table as text, and how a source writes them. Shared by the readers of tables, by filters and by labels."""

import difflib
import math
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from chex_api.dataset import MISSING_SPELLINGS, DecimalMark

_DIGITS_AFTER = {"Point": r"\.", "Comma": ","}
_GROUPED_BY = {"Point": ",", "Comma": r"\."}
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_QUOTES = "\"'"
_BRACKETS = {"[": "]", "(": ")", "{": "}"}


def folded(text: str) -> str:
    """Return what two texts are compared by: case, outer blanks, runs of white space, Unicode's forms and what nobody sees left out."""
    return " ".join(_plain(text).casefold().split())


def _plain(text: str) -> str:
    """Return a text in Unicode's compatibility form (`１` is 1), without the invisible characters that a copy brings along."""
    if text.isascii():
        return text
    seen = (character for character in text if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", "".join(seen))


MISSING = frozenset(map(folded, MISSING_SPELLINGS))
"""What counts as missing where a manifest says nothing else."""


CELLS_OF_A_CATEGORY = 20
"""A column that has so many cells for each of its values sorts films, and names nobody."""


def sorts_films(values: Collection[str], cells: int) -> bool:
    """Tell whether a column sorts films, so that its spellings may be told: its different values, and its number of cells."""
    return len(values) * CELLS_OF_A_CATEGORY <= cells


def is_blank(cell: str, missing: Collection[str] = MISSING) -> bool:
    """Tell whether a cell holds nothing: white space, or one of `missing` (folded spellings)."""
    found = folded(cell)
    return not found or found in missing


def _number_patterns(mark: DecimalMark) -> tuple[re.Pattern[str], re.Pattern[str]]:
    after, grouped = _DIGITS_AFTER[mark], _GROUPED_BY[mark]
    plain = rf"[+-]?(?:[0-9]+(?:{after}[0-9]*)?|{after}[0-9]+){_EXPONENT}"
    groups = rf"[+-]?[0-9]{{1,3}}(?:(?:{grouped}[0-9]{{3}})+{after}[0-9]+|(?:{grouped}[0-9]{{3}}){{2,}})"
    return re.compile(plain), re.compile(groups)


_NUMBERS: dict[DecimalMark, tuple[re.Pattern[str], re.Pattern[str]]] = {
    "Point": _number_patterns("Point"),
    "Comma": _number_patterns("Comma"),
}
_OTHER: dict[DecimalMark, DecimalMark] = {"Point": "Comma", "Comma": "Point"}


def number(value: str, mark: DecimalMark = "Point") -> float | None:
    """Return a cell as a finite number, or None.

    `1.234,5` with a comma and `1,234.5` with a point are read, for nothing else can be meant. A single group after the
    other mark (`1,234` with a point) could be either and is no number: `has_other_mark` tells it.
    """
    text = _plain(value).strip().replace("\N{MINUS SIGN}", "-")
    plain, grouped = _NUMBERS[mark]
    if grouped.fullmatch(text):
        text = text.replace("," if mark == "Point" else ".", "")
    elif not plain.fullmatch(text):
        return None
    result = float(text.replace(",", "."))
    return result if math.isfinite(result) else None


def has_other_mark(value: str, mark: DecimalMark) -> bool:
    """Tell whether a cell is a number with the other decimal mark only."""
    return number(value, mark) is None and number(value, _OTHER[mark]) is not None


def means_with_other_mark(value: str, asked: Collection[str | float], mark: DecimalMark) -> bool:
    """Tell whether a cell would be one of the values asked for (`comparable`), were it not for its decimal mark: `1,0` is 1."""
    return has_other_mark(value, mark) and number(value, _OTHER[mark]) in asked


def comparable(value: str, mark: DecimalMark = "Point") -> str | float:
    """Return what two cells are compared by: numbers as numbers, for a Parquet column says `1.0` where one writes `1`."""
    as_number = number(value, mark)
    return folded(value) if as_number is None else as_number


@dataclass(frozen=True, slots=True)
class ColumnFormat:
    """How a source writes a column.

    Attributes:
        separators: characters that part the values of a cell that lists several, a blank only where it stands alone (`, ` is a
            comma and the blank after it); empty: a cell is one value.
        unknown: folded values that the source uses for "not known": one of them makes the whole cell unknown, and the
            empty string stands for blank cells.
        missing: folded spellings of a cell that holds nothing.
        decimal_mark: what stands before the decimals of a number.
        is_one_value: whether it is said that a cell is one value, whatever it looks like.
    """

    separators: str = ""
    unknown: frozenset[str] = frozenset()
    missing: frozenset[str] = MISSING
    decimal_mark: DecimalMark = "Point"
    is_one_value: bool = False

    @property
    def says_lists(self) -> bool:
        """Whether somebody says if cells list values. Where nobody does, a cell that looks like a list is refused."""
        return bool(self.separators) or self.is_one_value

    def values(self, cell: str, named: Collection[str] = ()) -> list[str]:
        """Return the values that a cell lists, without outer blanks; none for a blank cell.

        Args:
            cell: text as it stands in the table.
            named: folded values that are looked for: they are values even where they are spellings of missing.
        """
        parts = _listed(cell, self.separators) if self.separators else [cell]
        return [part.strip() for part in parts if not self.is_missing(part, named)]

    def is_missing(self, cell: str, named: Collection[str] = ()) -> bool:
        """Tell whether a cell holds nothing, or a spelling of it that nobody looks for."""
        return is_blank(cell, self.missing) and folded(cell) not in named

    def is_unknown(self, cell: str, named: Collection[str] = ()) -> bool:
        """Tell whether the source itself says that it does not know."""
        if not self.unknown:
            return False
        values = self.values(cell, named)
        return any(folded(value) in self.unknown for value in values) or ("" in self.unknown and not values)

    def compared(self, cell: str, named: Collection[str] = ()) -> set[str | float]:
        """Return what the values of a cell are compared by; the empty string alone for a blank cell."""
        return {comparable(value, self.decimal_mark) for value in self.values(cell, named)} or {""}


PLAIN = ColumnFormat()


def _listed(cell: str, separators: str) -> list[str]:
    """Return the parts of a cell; the brackets and quotes that programs write around lists are taken off."""
    text, separators = cell.strip(), separators.replace(" ", "") or separators
    if len(text) >= 2 and _BRACKETS.get(text[0]) == text[-1]:
        text = text[1:-1]
    return [_unquoted(part) for part in re.split(f"[{re.escape(separators)}]", text)]


def _unquoted(part: str) -> str:
    text = part.strip()
    return text[1:-1] if len(text) >= 2 and text[0] in _QUOTES and text[-1] == text[0] else text


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most like `word`, regardless of case; `known` must not be empty."""
    by_folded = {name.casefold(): name for name in sorted(known, reverse=True)}
    return by_folded[difflib.get_close_matches(word.casefold(), sorted(by_folded), n=1, cutoff=0.0)[0]]
