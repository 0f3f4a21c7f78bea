"""Charts as inline SVG: no script, no network, colours from the page's style sheet, a title for those who cannot see them.

Every function returns safe markup: labels are escaped here, numbers are formatted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import Markup

from chex_jobs.report.marks import FIRST, GUIDE, Style, legend, mark
from chex_jobs.report.numbers import log_ticks, nice_ticks, short_count, tick_texts


@dataclass(frozen=True)
class Line:
    """A named curve."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: Style = FIRST
    points: bool = False


@dataclass(frozen=True)
class Dot:
    """One point of a scatter plot."""

    label: str
    series: str
    x: float
    y: float
    style: Style
    hollow: bool = False
    chosen: bool = False


@dataclass(frozen=True)
class _Tick:
    value: float
    text: str


class _Frame:
    """A plot area with axes, in SVG user units."""

    width, height = 400, 290
    left, right, top, bottom = 54, 388, 14, 246

    def __init__(
        self, x_range: tuple[float, float], y_range: tuple[float, float], *, x_log: bool = False
    ) -> None:
        self._x_range, self._y_range, self._x_log = x_range, y_range, x_log

    def x(self, value: float) -> float:
        low, high = self._x_range
        if self._x_log:
            low, high, value = log10(low), log10(high), log10(value)
        return self.left + (value - low) / (high - low or 1.0) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self._y_range
        return self.bottom - (value - low) / (high - low or 1.0) * (self.bottom - self.top)

    def axes(self, x_title: str, y_title: str) -> Markup:
        parts = [Markup('<g class="axis">')]
        for tick in _linear_ticks(self._y_range):
            height = f"{self.y(tick.value):.1f}"
            parts.append(
                Markup(
                    '<line x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" dy="4" text-anchor="end">{}</text>'
                ).format(self.left, self.right, height, height, self.left - 6, height, tick.text)
            )
        for tick in self._x_ticks():
            place = f"{self.x(tick.value):.1f}"
            parts.append(
                Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    place, self.bottom + 17, tick.text
                )
            )
        middle = (self.left + self.right) / 2
        parts.append(
            Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                middle, self.height - 8, x_title
            )
        )
        centre = (self.top + self.bottom) / 2
        parts.append(
            Markup(
                '<text class="name" transform="translate(13 {}) rotate(-90)" text-anchor="middle">{}</text></g>'
            ).format(centre, y_title)
        )
        return Markup("").join(parts)

    def svg(self, title: str, *content: Markup) -> Markup:
        return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>').format(
            self.width, self.height, title, Markup("").join(content)
        )

    def _x_ticks(self) -> list[_Tick]:
        if not self._x_log:
            return _linear_ticks(self._x_range)
        return [_Tick(value, short_count(value)) for value in log_ticks(*self._x_range)]


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
    points = any(line.points for line in lines)
    frame = _Frame(
        x_range or padded([value for line in lines for value in line.x], 0.03 if points else 0.0),
        y_range or padded([value for line in lines for value in line.y], 0.05),
    )
    curves = []
    for line in lines:
        places = [(frame.x(x), frame.y(y)) for x, y in zip(line.x, line.y, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        curves.append(Markup('<polyline class="curve {}" points="{}"/>').format(line.style.colour, path))
        if line.points:
            curves += [mark(line.style, x, y, 4) for x, y in places]
    chart = frame.svg(title, frame.axes(x_title, y_title), *curves)
    named = [(line.name, line.style) for line in lines if line.style != GUIDE]
    return chart + legend(named, line=True, points=points) if len(named) > 1 else chart


def scatter(title: str, dots: Sequence[Dot], x_title: str, y_title: str) -> Markup:
    """Points over a logarithmic x axis, a legend of their series below; each has its label as a tooltip, the chosen one in the legend, where it has room."""
    frame = _Frame(
        (min(dot.x for dot in dots) / 1.6, max(dot.x for dot in dots) * 1.6),
        padded([dot.y for dot in dots], 0.12),
        x_log=True,
    )
    parts = [frame.axes(x_title, y_title)]
    for dot in sorted(dots, key=lambda dot: dot.chosen):
        x, y = frame.x(dot.x), frame.y(dot.y)
        if dot.chosen:
            parts.append(
                Markup('<circle class="ring" cx="{}" cy="{}" r="9"/>').format(f"{x:.1f}", f"{y:.1f}")
            )
        tooltip = f"{dot.label}: {dot.y:.3f}, {short_count(dot.x)}"
        parts.append(mark(dot.style, x, y, 4.5, classes="hollow" if dot.hollow else "", title=tooltip))
    series = {dot.series: dot.style for dot in dots}
    rings = [dot.label for dot in dots if dot.chosen]
    return frame.svg(title, *parts) + legend(list(series.items()), line=False, points=True, rings=rings)


def padded(values: Sequence[float], share: float) -> tuple[float, float]:
    """The range of the values and a share of it on both sides; never empty where there is a share."""
    low, high = min(values), max(values)
    margin = (high - low) * share or (abs(high) * 0.05 or 1.0 if share else 0.0)
    return low - margin, high + margin


def _linear_ticks(limits: tuple[float, float]) -> list[_Tick]:
    values = nice_ticks(*limits)
    return [_Tick(value, text) for value, text in zip(values, tick_texts(values), strict=True)]
