"""Columns of metadata as statistics read them: which are numbers, which are levels, and what is missing."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.statistics.discrimination import FloatArray

MISSING = "missing"
MOST_LEVELS_OF_NUMBERS = 10
"""Numbers with no more different values than this are codes, and so levels."""


def is_number_column(values: Sequence[object]) -> bool:
    """Whether every value that is present reads as a number and more than ten differ, as for an age in years."""
    present = {_number(value) for value in values if not is_missing(value)}
    return len(present) > MOST_LEVELS_OF_NUMBERS and not any(map(math.isnan, present))


def levels_of(values: Sequence[object]) -> NDArray[np.str_]:
    """Lower-case text; blanks are a level of their own, as it matters that a field was not filled in."""
    return np.array(
        [MISSING if is_missing(value) else str(value).strip().lower() for value in values], dtype=str
    )


def numbers_of(values: Sequence[object]) -> FloatArray:
    """[F]; NaN where a cell is no finite number."""
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: object) -> float:
    """A finite number; NaN for anything else, such as a slip of the pen that only the test films hold."""
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) and "_" not in text else math.nan


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing."""
    return (
        value is None
        or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))
        or str(value).strip() == ""
    )
