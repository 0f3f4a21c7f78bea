"""Charts as inline SVG: no script, no network, colours from the page's style sheet, a title for those who cannot see them.

Every function returns safe markup: labels are escaped here, numbers are formatted here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import Markup, escape

from chex_jobs.report.numbers import nice_ticks, short_count


@dataclass(frozen=True)
class Line:
    """A named curve. `kind` is a class of the style sheet: `first`, `second`, `third`, `guide`."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: str = "first"
    points: bool = False


@dataclass(frozen=True)
class ForestRow:
    """One row of a forest plot. `lower` and `upper` are None where the data cannot carry an interval."""

    label: str
    value: float | None
    lower: float | None
    upper: float | None
    text: str
    emphasis: bool = False


@dataclass(frozen=True)
class Dot:
    """One point of a scatter plot."""

    label: str
    x: float
    y: float
    kind: str = "first"


class _Frame:
    """A plot area with axes, in SVG user units."""

    def __init__(
        self, x_range: tuple[float, float], y_range: tuple[float, float], *, width: int = 420, height: int = 300, x_log: bool = False
    ) -> None:
        self.width, self.height = width, height
        self.left, self.right, self.top, self.bottom = 52, width - 14, 14, height - 44
        self._x_range, self._y_range, self._x_log = x_range, y_range, x_log

    def x(self, value: float) -> float:
        low, high = self._x_range
        if self._x_log:
            low, high, value = log10(low), log10(high), log10(value)
        return self.left + (value - low) / (high - low or 1.0) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self._y_range
        return self.bottom - (value - low) / (high - low or 1.0) * (self.bottom - self.top)

    def axes(self, x_title: str, y_title: str, x_text: Callable[[float], str], y_text: Callable[[float], str]) -> Markup:
        x_ticks = _log_ticks(*self._x_range) if self._x_log else nice_ticks(*self._x_range)
        parts = [Markup('<g class="axis">')]
        for tick in nice_ticks(*self._y_range):
            height = f"{self.y(tick):.1f}"
            parts.append(
                Markup('<line x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" dy="4" text-anchor="end">{}</text>').format(
                    self.left, self.right, height, height, self.left - 6, height, y_text(tick)
                )
            )
        for tick in x_ticks:
            place = f"{self.x(tick):.1f}"
            parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(place, self.bottom + 16, x_text(tick)))
        middle = (self.left + self.right) / 2
        parts.append(Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, self.height - 8, x_title))
        centre = (self.top + self.bottom) / 2
        parts.append(
            Markup('<text class="name" transform="translate(13 {}) rotate(-90)" text-anchor="middle">{}</text></g>').format(centre, y_title)
        )
        return Markup("").join(parts)

    def svg(self, title: str, *content: Markup) -> Markup:
        return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>').format(
            self.width, self.height, title, Markup("").join(content)
        )


def line_chart(
    title: str,
    lines: Sequence[Line],
    x_title: str,
    y_title: str,
    *,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> Markup:
    """Curves over a linear axis, with a legend below where there is more than one."""
    xs = [value for line in lines for value in line.x]
    ys = [value for line in lines for value in line.y]
    frame = _Frame(x_range or _padded(xs, 0.0), y_range or _padded(ys, 0.05))
    curves = []
    for line in lines:
        points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(line.x, line.y, strict=True))
        curves.append(Markup('<polyline class="curve {}" points="{}"/>').format(line.kind, points))
        if line.points:
            curves += [
                Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(line.kind, frame.x(x), frame.y(y))
                for x, y in zip(line.x, line.y, strict=True)
            ]
    chart = frame.svg(title, frame.axes(x_title, y_title, _plain_number, _plain_number), *curves)
    named = [line for line in lines if line.kind != "guide"]
    return chart + _legend(named) if len(named) > 1 else chart


def scatter(title: str, dots: Sequence[Dot], x_title: str, y_title: str) -> Markup:
    """Points over a logarithmic x axis; each has its name as a tooltip and, for readers without one, in its title."""
    xs = [dot.x for dot in dots]
    low, high = min(xs) / 1.6, max(xs) * 1.6
    frame = _Frame((low, high), _padded([dot.y for dot in dots], 0.12), width=560, height=320, x_log=True)
    marks = [
        Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>').format(
            dot.kind, frame.x(dot.x), frame.y(dot.y), 6 if dot.kind == "chosen" else 4, f"{dot.label}: {dot.y:.3f}, {short_count(dot.x)}"
        )
        for dot in sorted(dots, key=lambda dot: dot.kind == "chosen")
    ]
    names = [
        Markup('<text class="note" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
            frame.x(dot.x), frame.y(dot.y) - 10, "end" if frame.x(dot.x) > frame.right - 140 else "start", dot.label
        )
        for dot in dots
        if dot.kind == "chosen"
    ]
    return frame.svg(title, frame.axes(x_title, y_title, short_count, _plain_number), *marks, *names)


def forest(title: str, rows: Sequence[ForestRow], x_title: str, *, guide: float | None = None) -> Markup:
    """Point estimates with intervals, one row each; rows without interval show a hollow mark and no whiskers."""
    values = [value for row in rows for value in (row.value, row.lower, row.upper) if value is not None]
    if not values:
        return Markup("")
    low, high = _padded([*values, *([guide] if guide is not None else [])], 0.04)
    row_height, label_width, text_width, plot = 22, 250, 150, 320
    width, height = label_width + plot + text_width, row_height * len(rows) + 40

    def x(value: float) -> float:
        return label_width + (value - low) / (high - low or 1.0) * plot

    parts: list[Markup] = [Markup('<g class="axis">')]
    for tick in nice_ticks(low, high):
        place = f"{x(tick):.1f}"
        parts.append(
            Markup('<line x1="{0}" x2="{0}" y1="6" y2="{1}"/><text x="{0}" y="{2}" text-anchor="middle">{3}</text>').format(
                place, height - 34, height - 20, _plain_number(tick)
            )
        )
    parts.append(Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text></g>').format(label_width + plot / 2, height - 4, x_title))
    if guide is not None:
        parts.append(Markup('<line class="guideline" x1="{0:.1f}" x2="{0:.1f}" y1="6" y2="{1}"/>').format(x(guide), height - 34))
    for index, row in enumerate(rows):
        parts.append(_forest_row(row, index * row_height + 18, x, label_width, label_width + plot + 10))
    return Markup('<svg class="chart wide" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>').format(
        width, height, title, Markup("").join(parts)
    )


def _forest_row(row: ForestRow, y: float, x: Callable[[float], float], label_end: float, text_start: float) -> Markup:
    strong = "strong" if row.emphasis else ""
    parts = [Markup('<text class="row {}" x="{}" y="{}" text-anchor="end">{}</text>').format(strong, label_end - 12, y + 4, row.label)]
    if row.value is not None:
        has_interval = row.lower is not None and row.upper is not None
        if has_interval:
            assert row.lower is not None and row.upper is not None
            parts.append(Markup('<line class="whisker {3}" x1="{0:.1f}" x2="{1:.1f}" y1="{2}" y2="{2}"/>').format(x(row.lower), x(row.upper), y, strong))
        mark = "first" if has_interval else "hollow"
        parts.append(Markup('<circle class="dot {} {}" cx="{:.1f}" cy="{}" r="4.5"/>').format(mark, strong, x(row.value), y))
    parts.append(Markup('<text class="row {}" x="{}" y="{}">{}</text>').format(strong, text_start, y + 4, row.text))
    return Markup("").join(parts)


def _legend(lines: Sequence[Line]) -> Markup:
    items = (Markup('<li><span class="key {}"></span>{}</li>').format(line.kind, escape(line.name)) for line in lines)
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def _padded(values: Sequence[float], share: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * share or (abs(high) * 0.05 or 1.0 if share else 0.0)
    return low - margin, high + margin


def _log_ticks(low: float, high: float) -> list[float]:
    ticks = [factor * 10.0**power for power in range(-3, 16) for factor in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside if len(inside) <= 7 else [tick for tick in inside if str(tick)[0] == "1"]


def _plain_number(value: float) -> str:
    return f"{value:g}"
