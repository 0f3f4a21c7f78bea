"""Numbers as people read them. A number that is not there is a dash, never a zero."""

import math

from chex_jobs.evaluation.results import Estimate

MISSING = "–"


def three_digits(value: float | None) -> str:
    """`0.873`, or a dash."""
    return MISSING if value is None else f"{value:.3f}"


def estimate(value: Estimate) -> str:
    """`0.873 (0.821–0.912)`; without interval the number alone; a dash where there is none."""
    if value.value is None or value.interval is None:
        return three_digits(value.value)
    return f"{value.value:.3f} ({value.interval.lower:.3f}–{value.interval.upper:.3f})"


def short_count(value: float) -> str:
    """`950`, `12.3 k`, `4.56 M`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """`48 s`, `12 min`, `3.4 h`, or a dash."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def percent(share: float) -> str:
    """`30 %`."""
    return f"{share * 100:g} %"


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers that cover [low, high]."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= count)
    first = math.ceil(low / step - 1e-9) * step
    ticks = [first + index * step for index in range(int((high - first) / step + 1e-9) + 1)]
    return [round(tick, 10) for tick in ticks]
