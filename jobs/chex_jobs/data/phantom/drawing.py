"""From geometry to attenuation: how much of the beam each pixel of a film loses.

Tissues are drawn with OpenCV as 8-bit layers at twice the film's resolution (the film's own from 160 pixels up), softened, and
added up in units in which a chest wall without lung is about 1. What varies without meaning anything (vessels, clutter,
girth, breasts, monitoring leads, shadows of nipples) is drawn too, and as strong as the findings: a model has to learn
what matters.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from chex_jobs.data.phantom.anatomy import LEFT, RIGHT, Chest, Placement

_SHIFT = 4  # OpenCV's fixed-point bits: outlines are placed to 1/16 of a pixel
_NUM_VESSELS = 16


@dataclass(frozen=True, slots=True)
class Signs:
    """What one film shows: severity (0 absent, else in (0, 1]) and, where sided, the side (0: both)."""

    effusion: tuple[float, int]
    pneumothorax: tuple[float, int]
    consolidation: tuple[float, int]
    nodule: tuple[float, int]
    edema: float
    device: float
    emphysema: float


class Canvas:
    """Draws outlines and lines of the chest frame as layers of one film."""

    def __init__(self, height: int, width: int, placement: Placement) -> None:
        self.shape = (height, width)
        self._placement = placement

    def pixels(self, length: float) -> float:
        """Return a length of the chest frame in pixels."""
        return length * self._placement.scale

    def outline(self, *outlines: np.ndarray, soft: float = 0.0) -> np.ndarray:
        """Return a layer, uint8, in which the outlines are filled; `soft` is the blur's deviation in the chest frame."""
        layer = np.zeros(self.shape, np.uint8)
        for points in outlines:  # one at a time: together, what two of them cover would count as outside
            cv2.fillPoly(layer, [self._fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        return self.softened(layer, soft)

    def lines(self, lines: np.ndarray, thickness: float, soft: float = 0.0) -> np.ndarray:
        """Return a layer, uint8, of open lines `[n, points, 2]`; thickness and blur in the chest frame."""
        layer = np.zeros(self.shape, np.uint8)
        self.add_lines(layer, lines, thickness, 255)
        return self.softened(layer, soft)

    def add_lines(self, layer: np.ndarray, lines: np.ndarray, thickness: float, value: int) -> None:
        """Draw open lines `[n, points, 2]` into a layer. A line thinner than a pixel is drawn as fainter, not as thicker."""
        width = self.pixels(thickness)
        if width < 1:
            value, width = round(value * width), 1
        cv2.polylines(layer, list(self._fixed(lines)), False, value, round(width), cv2.LINE_AA, _SHIFT)

    def spot(
        self, centre: np.ndarray, radii: tuple[float, float], angle: float = 0.0, soft: float = 0.0
    ) -> np.ndarray:
        """Return a layer, uint8, with a filled ellipse."""
        return self.outline(ellipse(centre, radii, angle), soft=soft)

    def softened(self, layer: np.ndarray, soft: float) -> np.ndarray:
        """Return the layer, blurred."""
        sigma = self.pixels(soft)
        if sigma < 0.2:
            return layer
        if sigma <= 2:
            return cv2.GaussianBlur(layer, (0, 0), sigma)
        # Three box blurs come near a Gaussian and cost the same at any width.
        side = 2 * round(sigma) + 1
        return cv2.blur(cv2.blur(layer, (side, side)), (side, side))

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        return np.rint(self._placement.points(points) * (1 << _SHIFT)).astype(np.int32)


_TURNS = np.linspace(0.0, 2 * np.pi, 17)[:-1]
_CIRCLE = np.column_stack([np.cos(_TURNS), np.sin(_TURNS)])


def ellipse(centre: np.ndarray, radii: tuple[float, float], angle: float = 0.0) -> np.ndarray:
    """Return the outline `[16, 2]` of an ellipse whose first radius lies at `angle`."""
    cos, sin = np.cos(angle), np.sin(angle)
    return (_CIRCLE * radii) @ np.array([[cos, sin], [-sin, cos]]) + centre


def attenuation(canvas: Canvas, chest: Chest, signs: Signs, shape: np.ndarray, *, female: bool, bedside: bool,
                rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    """Return the attenuation of one film, float32 `[H, W]`, about 0 (air) to 1.6 (bone over abdomen)."""
    right, left = (canvas.outline(lung, soft=0.015) for lung in chest.lungs)
    lungs = cv2.max(right, left)
    by_side = {RIGHT: right, LEFT: left, 0: lungs}
    central = canvas.outline(chest.heart, chest.mediastinum, soft=0.02)
    air = cv2.multiply(lungs, cv2.bitwise_not(cv2.convertScaleAbs(central, alpha=0.8)), scale=1 / 255)

    body = canvas.outline(chest.body, soft=0.05)
    result = body * np.float32((1.0 + 0.10 * shape[6]) / 255)
    _add(result, central, 0.16)
    _add(result, _bones(canvas, chest), 0.24)
    _add_clutter(result, lungs, rng)
    if female:
        _add(result, _breasts(canvas, shape), 0.06 + 0.02 * float(rng.random()))

    vessels = _vessels(canvas, chest, signs.edema, rng)
    lung_air = 0.56 + 0.03 * shape[2] + 0.10 * signs.emphysema
    severity, side = signs.pneumothorax
    for one in _sides(severity, side):
        free, line = _pneumothorax(canvas, chest, severity, one)
        free = cv2.min(free, air)
        vessels = cv2.subtract(vessels, free)
        _add(result, free, -0.20)
        _add(result, line, 0.16)
    fluid = _fluid(canvas, chest, signs.effusion, rng)
    if fluid is not None:
        fluid = cv2.min(fluid, lungs)
        air = cv2.subtract(air, fluid)
    _add(result, air, -lung_air)
    _add(result, cv2.min(vessels, air), 0.13 - 0.05 * signs.emphysema)
    _add_opacities(result, canvas, chest, signs, by_side, rng)
    _add_foreign(result, canvas, signs.device, bedside=bedside, rng=rng)
    return result


def _weight(severity: float, least: float, most: float) -> float:
    """Return 0 without the finding, else `least` for the mildest to `most` for the worst."""
    return least + (most - least) * severity if severity > 0 else 0.0


def _sides(severity: float, side: int) -> tuple[int, ...]:
    """Return the sides to draw a finding on: none without it, both for side 0."""
    if severity == 0:
        return ()
    return (RIGHT, LEFT) if side == 0 else (side,)


def _add(result: np.ndarray, layer: np.ndarray, amount: float) -> None:
    """Add a layer of 0 to 255 as 0 to `amount`, in place."""
    result += layer * np.float32(amount / 255)


def _bones(canvas: Canvas, chest: Chest) -> np.ndarray:
    layer = np.zeros(canvas.shape, np.uint8)
    canvas.add_lines(layer, chest.front_ribs, 0.05, 60)
    canvas.add_lines(layer, chest.rear_ribs, 0.045, 120)
    canvas.add_lines(layer, chest.spine[None], 0.17, 190)
    for piece in (*chest.clavicles[0], *chest.clavicles[1]):
        canvas.add_lines(layer, piece[None], 0.065, 255)
    return canvas.softened(layer, 0.012)


def _add_clutter(result: np.ndarray, lungs: np.ndarray, rng: np.random.Generator) -> None:
    """Add smooth shadows without meaning: coarse ones everywhere, finer ones in the lungs."""
    height, width = result.shape
    coarse = rng.standard_normal((5, 5), dtype=np.float32) * np.float32(0.05)
    result += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    fine = rng.standard_normal((10, 10), dtype=np.float32) * np.float32(0.035 / 255)
    result += cv2.resize(fine, (width, height), interpolation=cv2.INTER_CUBIC) * lungs


def _breasts(canvas: Canvas, shape: np.ndarray) -> np.ndarray:
    size = 0.30 + 0.04 * float(shape[6])
    centres = np.array([(-0.48, 0.42), (0.48, 0.42)])
    return canvas.outline(*(ellipse(centre, (size, size * 0.9)) for centre in centres), soft=0.04)


def _vessels(canvas: Canvas, chest: Chest, edema: float, rng: np.random.Generator) -> np.ndarray:
    """Return the lung's vessels: lines that leave the hila in all directions and thin out."""
    sides = np.repeat([0, 1], _NUM_VESSELS)
    angles = rng.uniform(-1.35, 1.35, 2 * _NUM_VESSELS)
    lengths = rng.uniform(0.25, 0.65, 2 * _NUM_VESSELS) * (1 + 0.3 * edema)
    curls = rng.normal(0.0, 0.25, 2 * _NUM_VESSELS)
    outward = np.where(sides == 0, -1.0, 1.0)
    along = np.linspace(0.0, 1.0, 5)
    bearing = angles[:, None] + curls[:, None] * along
    x = chest.hila[sides, 0][:, None] + outward[:, None] * lengths[:, None] * along * np.cos(bearing) * 0.8
    y = chest.hila[sides, 1][:, None] + lengths[:, None] * along * np.sin(bearing)
    lines = np.stack([x, y], axis=-1)
    layer = np.zeros(canvas.shape, np.uint8)
    strength = 1 + 0.5 * edema
    canvas.add_lines(layer, lines, 0.016, min(255, round(110 * strength)))
    canvas.add_lines(layer, lines[:, :3], 0.03, min(255, round(150 * strength)))
    return canvas.softened(layer, 0.008)


def _pneumothorax(canvas: Canvas, chest: Chest, severity: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the free air around a lung that has come off the chest wall, and the thin line of its edge."""
    outline, hilum = (of_both[0 if side == RIGHT else 1] for of_both in (chest.lungs, chest.hila))
    # Air rises: the lung's top comes down furthest, its base stays.
    height = np.clip((0.45 - outline[:, 1]) / 0.9, 0.0, 1.0)[:, None]
    collapsed = hilum + (outline - hilum) * (1 - _weight(severity, 0.18, 0.42) * height)
    free = cv2.subtract(canvas.outline(outline, soft=0.01), canvas.outline(collapsed))
    edge = canvas.lines(collapsed[None, :28], 0.014)
    return free, cv2.min(edge, canvas.outline(outline))


def _fluid(
    canvas: Canvas, chest: Chest, sign: tuple[float, int], rng: np.random.Generator
) -> np.ndarray | None:
    """Return the fluid at the lungs' bases, with the surface rising toward the chest wall."""
    severity, side = sign
    if severity == 0:
        return None
    outlines = []
    for one in _sides(severity, side):
        lung = chest.lungs[0 if one == RIGHT else 1]
        base = float(lung[:, 1].max())
        level = base - _weight(severity, 0.10, 0.50) * float(rng.uniform(0.85, 1.15))
        far = float(np.abs(lung[:, 0]).max())
        surface = [
            (0.05, base - 0.3 * (base - level)),
            (0.5 * far, level + 0.25 * (base - level)),
            (far + 0.1, level - 0.06),
        ]
        outlines.append(
            np.array([(one * x, y) for x, y in [*surface, (far + 0.1, base + 0.2), (0.05, base + 0.2)]])
        )
    return canvas.outline(*outlines, soft=0.03)


def _add_opacities(
    result: np.ndarray,
    canvas: Canvas,
    chest: Chest,
    signs: Signs,
    by_side: dict[int, np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Add what makes lung denser: consolidation, nodules, oedema; and what only looks like it: nipples, old scars."""
    severity, side = signs.consolidation
    for one in _sides(severity, side):
        _add(result, cv2.min(_patches(canvas, one, rng), by_side[one]), _weight(severity, 0.26, 0.50))
    severity, side = signs.nodule
    for one in _sides(severity, side):
        radius = _weight(severity, 0.065, 0.12)
        radii = (radius, radius * float(rng.uniform(0.8, 1.2)))
        _add(result, canvas.spot(_place_in_lung(one, rng), radii, soft=0.012), 0.48)
    if signs.edema > 0:
        middles = (hilum + np.array([0.1 * np.sign(hilum[0]), 0.1]) for hilum in chest.hila)
        haze = canvas.outline(*(ellipse(middle, (0.30, 0.42)) for middle in middles), soft=0.12)
        _add(result, cv2.min(haze, by_side[0]), _weight(signs.edema, 0.07, 0.20))
    if rng.random() < 0.3:
        scar = canvas.spot(_place_in_lung(RIGHT if rng.random() < 0.5 else LEFT, rng), (0.02, 0.02))
        _add(result, scar, 0.25)


def _patches(canvas: Canvas, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return a cluster of soft ellipses in one lobe."""
    middle = _place_in_lung(side, rng)
    radii, centres = rng.uniform(0.09, 0.19, (3, 2)), middle + rng.normal(0.0, 0.07, (3, 2))
    outlines = (
        ellipse(centre, radius, angle)
        for centre, radius, angle in zip(centres, radii, rng.uniform(0, 3, 3), strict=True)
    )
    return canvas.outline(*outlines, soft=0.035)


def _place_in_lung(side: int, rng: np.random.Generator) -> np.ndarray:
    y = float(rng.uniform(-0.60, 0.32))
    return np.array([side * float(rng.uniform(0.26, 0.52 + 0.14 * (y + 0.6))), y])


def _add_foreign(
    result: np.ndarray,
    canvas: Canvas,
    device: float,
    *,
    bedside: bool,
    rng: np.random.Generator,
) -> None:
    """Add lines and tubes (a finding) and monitoring leads over the skin (none, but common at the bedside)."""
    if rng.random() < (0.5 if bedside else 0.05):
        ends = rng.uniform((-0.8, -0.9), (0.8, 0.9), (3, 2))
        leads = np.linspace(ends[0], ends[1:], 4, axis=1) + rng.normal(0, 0.03, (2, 4, 2))
        _add(result, canvas.lines(leads, 0.014), 0.22)
    if device == 0:
        return
    kind = rng.random()
    side = RIGHT if rng.random() < 0.7 else LEFT
    if kind < 0.55:  # central line: from neck or collar bone down to the upper caval vein
        line = np.array(
            [(side * 0.42, -0.80), (side * 0.22, -0.66), (-0.10, -0.45), (-0.12, -0.15), (-0.11, 0.0)]
        )
        _add(result, canvas.lines(line[None] + rng.normal(0, 0.012, line.shape), 0.03), 0.42)
    elif kind < 0.8:  # tube in the windpipe
        tube = np.array([(0.0, -1.3), (0.01, -0.8), (0.0, -0.40)]) + np.array([0.02 * rng.normal(), 0.0])
        walls = np.stack([tube - np.array([0.02, 0]), tube + np.array([0.02, 0])])
        _add(result, canvas.lines(walls, 0.02), 0.42)
    else:  # pacemaker: a case below the collar bone and a lead to the heart
        case = np.array([side * -0.58, -0.55]) + rng.normal(0, 0.03, 2)
        lead = np.array([case, (side * -0.2, -0.6), (-0.12, -0.3), (-0.06, 0.2), (0.2, 0.40)])
        _add(result, canvas.spot(case, (0.10, 0.085)), 0.6)
        _add(result, canvas.lines(lead[None], 0.025), 0.42)
