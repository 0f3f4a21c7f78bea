"""Forest plots: one estimate a row, its interval as whiskers, its numbers beside it.

A table whose middle column is drawn: labels and numbers are text of the page, which wraps at any length and any width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from chex_jobs.report.charts import padded
from chex_jobs.report.marks import Style, mark
from chex_jobs.report.numbers import nice_ticks, tick_texts

PLOT, INSET, ROW, FOOT = 280.0, 14.0, 22, 20
"""Width and height of a row's drawing in user units, and the room at its ends for half a tick's text."""


@dataclass(frozen=True)
class ForestRow:
    """One row. `lower` and `upper` are None where the data cannot carry an interval; `texts` are the columns beside the plot."""

    label: str
    value: float | None
    lower: float | None
    upper: float | None
    texts: tuple[str, ...]
    emphasis: bool = False
    baseline: bool = False
    """Not an arm: drawn with another mark, under a rule."""


@dataclass(frozen=True)
class _Scale:
    """From values to places along the drawing."""

    low: float
    high: float

    def x(self, value: float) -> float:
        return INSET + (value - self.low) / (self.high - self.low or 1.0) * (PLOT - 2 * INSET)


def forest(
    title: str, rows: Sequence[ForestRow], headings: tuple[str, ...], x_title: str, *, guide: float
) -> Markup:
    """The rows in their order, with a dashed guide line; rows without interval show a hollow mark and no whiskers."""
    values = [value for row in rows for value in (row.value, row.lower, row.upper) if value is not None]
    if not values:
        return Markup("")
    scale = _Scale(*padded([*values, guide], 0.04))
    heads = Markup("").join(Markup('<th scope="col" class="n">{}</th>').format(each) for each in headings)
    return Markup(
        '<table class="forest"><caption>{}</caption><thead><tr><th scope="col">arm</th><th scope="col">{}</th>{}</tr></thead>'
        '<tbody>{}</tbody><tfoot><tr><td></td><td class="plot">{}</td>{}</tr></tfoot></table>'
    ).format(
        title,
        x_title,
        heads,
        Markup("").join(_row(row, scale, guide, headings) for row in rows),
        _axis(scale),
        Markup("<td></td>") * len(headings),
    )


def _row(row: ForestRow, scale: _Scale, guide: float, headings: tuple[str, ...]) -> Markup:
    names = " ".join(name for name, holds in (("strong", row.emphasis), ("baseline", row.baseline)) if holds)
    texts = Markup("").join(
        Markup('<td class="n" data-label="{}">{}</td>').format(heading, text)
        for heading, text in zip(headings, row.texts, strict=True)
    )
    line = Markup('<line class="guideline" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(
        f"{scale.x(guide):.1f}", ROW
    )
    drawn = Markup("").join([line, *_estimate(row, ROW / 2, scale.x, "strong" if row.emphasis else "")])
    return Markup('<tr class="{}"><th scope="row">{}</th><td class="plot">{}</td>{}</tr>').format(
        names, row.label, _svg(ROW, drawn), texts
    )


def _svg(height: int, content: Markup) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" aria-hidden="true">{}</svg>').format(
        f"{PLOT:.0f}", height, content
    )


def _axis(scale: _Scale) -> Markup:
    ticks = nice_ticks(scale.low, scale.high)
    drawn = Markup("").join(
        Markup(
            '<line x1="{0}" x2="{0}" y1="0" y2="4"/><text x="{0}" y="16" text-anchor="middle">{1}</text>'
        ).format(f"{scale.x(tick):.1f}", text)
        for tick, text in zip(ticks, tick_texts(ticks), strict=True)
    )
    return _svg(FOOT, Markup('<g class="axis">{}</g>').format(drawn))


def _estimate(row: ForestRow, y: float, x: Callable[[float], float], strong: str) -> list[Markup]:
    if row.value is None:
        return []
    style = Style("second", "diamond") if row.baseline else Style()
    if row.lower is None or row.upper is None:
        return [mark(style, x(row.value), y, 4.5, classes="hollow")]
    whisker = Markup('<line class="whisker {} {}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        style.colour, strong, f"{x(row.lower):.1f}", f"{x(row.upper):.1f}", y, y
    )
    return [whisker, mark(style, x(row.value), y, 4.5)]
