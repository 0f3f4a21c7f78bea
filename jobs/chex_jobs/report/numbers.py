"""Numbers as people read them. A number that is not there is a dash, never a zero."""

import math
from collections.abc import Sequence

from chex_jobs.evaluation.reporting.shareable import SUPPRESSED
from chex_jobs.evaluation.results.schema import Estimate
from chex_jobs.evaluation.statistics.disclosure import MIN_PATIENTS_OF_CELL

MISSING = "–"
MINUS = "\N{MINUS SIGN}"
FEW = f"< {MIN_PATIENTS_OF_CELL}"
"""A small cell."""
HIDDEN = "suppressed"
"""What would give a small cell away."""


def three_digits(value: float | None) -> str:
    """`0.873`, or a dash."""
    return MISSING if value is None else _rounded(value).replace("-", MINUS)


def signed(value: float | None) -> str:
    """`+0.012`, `−0.012`, `0.000`, or a dash."""
    if value is None:
        return MISSING
    text = _rounded(value)
    return text.replace("-", MINUS) if text.startswith("-") or float(text) == 0 else f"+{text}"


def estimate(value: Estimate) -> str:
    """`0.873 (0.821–0.912)`; without interval the number alone; a dash where there is none, and a word where it is hidden."""
    if value.reason == SUPPRESSED:
        return HIDDEN
    if value.value is None or value.interval is None:
        return three_digits(value.value)
    return f"{three_digits(value.value)} ({three_digits(value.interval.lower)}–{three_digits(value.interval.upper)})"


def signed_estimate(value: Estimate) -> str:
    """A difference, `+0.031 (−0.010 to +0.072)`: a dash between signed numbers would read as a minus."""
    if value.value is None or value.interval is None:
        return signed(value.value)
    return signed_range(value.value, value.interval.lower, value.interval.upper)


def signed_range(value: float, lower: float, upper: float) -> str:
    """`+0.031 (−0.010 to +0.072)`."""
    return f"{signed(value)} ({signed(lower)} to {signed(upper)})"


def short_count(value: float) -> str:
    """`950`, `12.3 k`, `4.56 M`: three digits."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            # `g` would write 999 999 as 1e+03 k.
            return f"{float(f'{value / limit:.3g}'):g} {unit}"
    return f"{value:.0f}"


def counted(number: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float | None) -> str:
    """`< 1 s`, `48 s`, `12 min`, `3.4 h`, or a dash."""
    if seconds is None:
        return MISSING
    if seconds < 1:
        return "< 1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def percent(share: float) -> str:
    """`30 %`."""
    return f"{round(share * 100, 2):g} %"


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The ticks of one axis with equally many decimals: `0.80`, `0.85`, `0.90`."""
    decimals = max((len(f"{tick:.10g}".partition(".")[2]) for tick in ticks), default=0)
    return [f"{tick:.{decimals}f}".replace("-", MINUS) for tick in ticks]


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers that cover [low, high]."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= count)
    first = math.ceil(low / step - 1e-9) * step
    ticks = [first + index * step for index in range(int((high - first) / step + 1e-9) + 1)]
    return [round(tick, 10) for tick in ticks]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten inside [low, high]; the powers alone where these are too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside if len(inside) <= 7 else [10.0**power for power in powers if low <= 10.0**power <= high]


def _rounded(value: float) -> str:
    text = f"{value:.3f}"
    return "0.000" if text == "-0.000" else text
