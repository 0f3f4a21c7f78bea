"""What tells one series from another on paper and to those who see no colours: a colour, a dash and a shape together."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

COLOURS = ("first", "second", "third", "fourth", "fifth", "sixth")
SHAPES = ("circle", "square", "triangle", "diamond", "wedge", "cross")
_OUTLINES = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
    "diamond": ((0, -1.3), (1.1, 0), (0, 1.3), (-1.1, 0)),
    "wedge": ((0, 1.2), (1.1, -0.8), (-1.1, -0.8)),
    "cross": ((-1, -0.35), (-0.35, -0.35), (-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35),
              (1, 0.35), (0.35, 0.35), (0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35)),
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How a series is drawn: classes of the style sheet and a shape."""

    colour: str = "first"
    """Class of the style sheet; it sets colour and dash."""
    shape: str = "circle"

    @classmethod
    def of(cls, index: int) -> "Style":
        """The style of the n-th series: all different up to 36."""
        return cls(COLOURS[index % len(COLOURS)], SHAPES[(index + index // len(COLOURS)) % len(SHAPES)])


FIRST = Style()
GUIDE = Style("guide", "")


def mark(style: Style, x: float, y: float, radius: float, *, classes: str = "", title: str = "") -> Markup:
    """One point; `title` is its tooltip."""
    inner = Markup("<title>{}</title>").format(title) if title else Markup("")
    names = " ".join(name for name in ("dot", style.colour, classes) if name)
    if style.shape == "circle":
        return Markup('<circle class="{}" cx="{}" cy="{}" r="{}">{}</circle>').format(
            names, f"{x:.1f}", f"{y:.1f}", f"{radius:g}", inner
        )
    points = " ".join(f"{x + dx * radius:.1f},{y + dy * radius:.1f}" for dx, dy in _OUTLINES[style.shape])
    return Markup('<polygon class="{}" points="{}">{}</polygon>').format(names, points, inner)


def legend(
    entries: list[tuple[str, Style]], *, line: bool, points: bool, rings: Sequence[str] = ()
) -> Markup:
    """A list of names, each with what it looks like in the chart; `rings` name the points that have a ring."""
    items = []
    for name, style in entries:
        stroke = (
            Markup('<line class="curve {}" x1="0" x2="30" y1="7" y2="7"/>').format(style.colour)
            if line
            else Markup("")
        )
        point = mark(style, 15, 7, 4) if points and style.shape else Markup("")
        items.append(
            Markup('<li><svg class="key" viewBox="0 0 30 14" aria-hidden="true">{}{}</svg>{}</li>').format(
                stroke, point, name
            )
        )
    ring = Markup('<circle class="ring" cx="15" cy="7" r="6"/>')
    items += [
        Markup('<li><svg class="key" viewBox="0 0 30 14" aria-hidden="true">{}</svg>{}</li>').format(
            ring, name
        )
        for name in rings
    ]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))
