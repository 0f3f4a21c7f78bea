"""How a table is written, and how what a file types becomes a cell of text."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chex_api.dataset import DecimalMark

LIST_SEPARATOR = "\x1f"
"""Between the values of a cell that the file itself types as a list; no text holds this character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat:
    """How the manifest says that a table is written; see the fields of `chex_api.dataset.Table`."""

    sheet: str = ""
    separator: str = ""
    encoding: str = "Auto"
    decimal_mark: DecimalMark = "Point"


def cell_text(value: Any, mark: DecimalMark) -> str:
    """Return a typed value as a cell of text, numbers with the table's decimal mark."""
    if value is None or value != value:  # NaN is how programs write that a number is missing
        return ""
    if isinstance(value, list | tuple):
        return LIST_SEPARATOR.join(cell_text(each, mark) for each in value)
    if isinstance(value, float | Decimal) and mark == "Comma":
        return str(value).replace(".", ",")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)
