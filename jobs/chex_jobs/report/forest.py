"""Forest plots: one estimate a row, its interval as whiskers, its numbers beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from chex_jobs.report.charts import padded, shortened
from chex_jobs.report.marks import Style, mark
from chex_jobs.report.numbers import nice_ticks, tick_texts

ROW, HEAD, FOOT = 22, 26, 40
LABEL_LIMIT = 40
"""Characters of a label; a longer one keeps beginning and end, and the whole is its tooltip."""
CHARACTER = 6.9
"""Width of a character in user units at the style sheet's 12 px, rather too wide than too narrow."""
PLOT, COLUMN = 280, 158


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
class _Columns:
    """Where things stand from left to right."""

    label_end: float
    low: float
    high: float
    texts: tuple[str, ...]

    @property
    def plot_end(self) -> float:
        return self.label_end + PLOT

    @property
    def width(self) -> float:
        return self.plot_end + COLUMN * len(self.texts) + 4

    def x(self, value: float) -> float:
        return self.label_end + (value - self.low) / (self.high - self.low or 1.0) * PLOT

    def text_start(self, index: int) -> float:
        return self.plot_end + 12 + index * COLUMN


def forest(
    title: str, rows: Sequence[ForestRow], headings: tuple[str, ...], x_title: str, *, guide: float
) -> Markup:
    """The rows in their order, with a dashed guide line; rows without interval show a hollow mark and no whiskers."""
    values = [value for row in rows for value in (row.value, row.lower, row.upper) if value is not None]
    if not values:
        return Markup("")
    longest = max(min(len(row.label), LABEL_LIMIT) for row in rows)
    columns = _Columns(max(120.0, longest * CHARACTER + 18), *padded([*values, guide], 0.04), headings)
    height = HEAD + ROW * len(rows) + FOOT
    parts = [_axis(columns, height, x_title, guide)]
    parts += [
        Markup('<text class="head" x="{}" y="{}">{}</text>').format(
            columns.text_start(index), HEAD - 10, heading
        )
        for index, heading in enumerate(headings)
    ]
    for index, row in enumerate(rows):
        parts.append(_row(row, HEAD + index * ROW + ROW / 2, columns))
    return Markup(
        '<svg class="chart forest" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>'
    ).format(f"{columns.width:.0f}", height, title, Markup("").join(parts))


def _axis(columns: _Columns, height: int, x_title: str, guide: float) -> Markup:
    bottom = height - FOOT
    parts = [Markup('<g class="axis">')]
    ticks = nice_ticks(columns.low, columns.high)
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        parts.append(
            Markup(
                '<line x1="{0}" x2="{0}" y1="{1}" y2="{2}"/><text x="{0}" y="{3}" text-anchor="middle">{4}</text>'
            ).format(f"{columns.x(tick):.1f}", HEAD, bottom, bottom + 15, text)
        )
    middle = columns.label_end + PLOT / 2
    parts.append(
        Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text></g>').format(
            f"{middle:.1f}", height - 6, x_title
        )
    )
    parts.append(
        Markup('<line class="guideline" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            f"{columns.x(guide):.1f}", HEAD, bottom
        )
    )
    return Markup("").join(parts)


def _row(row: ForestRow, y: float, columns: _Columns) -> Markup:
    strong = "strong" if row.emphasis else ""
    parts = []
    if row.baseline:
        parts.append(
            Markup('<line class="rule" x1="0" x2="{0}" y1="{1}" y2="{1}"/>').format(
                f"{columns.width:.0f}", f"{y - ROW / 2:.1f}"
            )
        )
    parts.append(
        Markup('<text class="row {}" x="{}" y="{}" text-anchor="end">{}<title>{}</title></text>').format(
            strong, f"{columns.label_end - 12:.1f}", y + 4, shortened(row.label, LABEL_LIMIT), row.label
        )
    )
    parts += _estimate(row, y, columns.x, strong)
    for index, text in enumerate(row.texts):
        parts.append(
            Markup('<text class="row {}" x="{}" y="{}">{}</text>').format(
                strong, f"{columns.text_start(index):.1f}", y + 4, text
            )
        )
    return Markup("").join(parts)


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
