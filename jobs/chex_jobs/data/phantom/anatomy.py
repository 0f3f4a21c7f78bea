"""The geometry of a chest: outlines and lines in a frame of its own, and where a film places them.

The chest frame has its origin amid the chest; x runs from -1 (the patient's right side, left on the film) to 1, y from
-1 (top of the lungs) to about 1 (well below the diaphragm). The shapes are plausible, not measured.
"""

import math
from dataclasses import dataclass

import numpy as np

RIGHT, LEFT = -1, 1

NUM_RIBS = 9

# Control points of closed outlines, as if on the patient's left (x > 0).
_LUNG = np.array([
    (0.30, -0.88), (0.48, -0.80), (0.66, -0.52), (0.76, -0.15), (0.81, 0.20), (0.83, 0.48), (0.81, 0.66), (0.67, 0.53),
    (0.45, 0.45), (0.25, 0.50), (0.12, 0.55), (0.12, 0.20), (0.13, -0.20), (0.15, -0.55), (0.20, -0.80),
])  # fmt: skip
_DIAPHRAGM = slice(6, 11)
_HEART = np.array([
    (-0.15, -0.06), (-0.22, 0.14), (-0.20, 0.36), (-0.02, 0.50), (0.24, 0.54), (0.46, 0.48), (0.47, 0.32), (0.35, 0.10),
    (0.19, -0.12), (0.02, -0.16),
])  # fmt: skip
_MEDIASTINUM = np.array([
    (-0.09, -1.10), (0.09, -1.10), (0.11, -0.60), (0.20, -0.47), (0.19, -0.34), (0.13, -0.24), (0.14, 0.44),
    (-0.14, 0.44), (-0.13, -0.20), (-0.12, -0.60),
])  # fmt: skip
_BODY = np.array([
    (0.22, -1.50), (0.26, -1.12), (0.62, -0.98), (0.95, -0.80), (1.06, -0.40), (0.98, 0.20), (0.96, 0.80), (1.0, 1.60),
    (-1.0, 1.60), (-0.96, 0.80), (-0.98, 0.20), (-1.06, -0.40), (-0.95, -0.80), (-0.62, -0.98), (-0.26, -1.12),
    (-0.22, -1.50),
])  # fmt: skip

_SAMPLES = 4  # of the curve between two control points


def _closed_curve_matrix(num_points: int) -> np.ndarray:
    """Return the matrix that maps control points to samples of the closed Catmull-Rom curve through them."""
    steps = np.arange(_SAMPLES) / _SAMPLES
    basis = 0.5 * np.stack([
        -steps + 2 * steps**2 - steps**3,
        2 - 5 * steps**2 + 3 * steps**3,
        steps + 4 * steps**2 - 3 * steps**3,
        -(steps**2) + steps**3,
    ], axis=1)  # fmt: skip
    matrix = np.zeros((num_points * _SAMPLES, num_points))
    for point in range(num_points):
        for neighbour in range(4):
            column = (point + neighbour - 1) % num_points
            matrix[point * _SAMPLES : (point + 1) * _SAMPLES, column] += basis[:, neighbour]
    return matrix


_CURVES = {
    len(outline): _closed_curve_matrix(len(outline)) for outline in (_LUNG, _HEART, _MEDIASTINUM, _BODY)
}


def _smooth(outline: np.ndarray) -> np.ndarray:
    return _CURVES[len(outline)] @ outline


@dataclass(frozen=True, slots=True)
class Chest:
    """Outlines (closed, `[n, 2]`) and lines (open, `[n, 2]`) in the chest frame.

    Attributes:
        body: outline of the soft tissue.
        lungs: outlines of the right and the left lung.
        heart: outline.
        mediastinum: outline of the great vessels and the windpipe's surroundings.
        spine: line from the neck to the abdomen.
        rear_ribs: lines `[2 * NUM_RIBS, n, 2]`.
        front_ribs: lines `[2 * NUM_RIBS, n, 2]`, of which the lower end is cartilage and not seen.
        clavicles: lines, right and left.
        hila: roots of the lungs, `[2, 2]`, right and left.
    """

    body: np.ndarray
    lungs: tuple[np.ndarray, np.ndarray]
    heart: np.ndarray
    mediastinum: np.ndarray
    spine: np.ndarray
    rear_ribs: np.ndarray
    front_ribs: np.ndarray
    clavicles: tuple[list[np.ndarray], list[np.ndarray]]
    hila: np.ndarray


def build_chest(
    shape: np.ndarray,
    conditions: np.ndarray,
    *,
    female: bool,
    bedside: bool,
    cardiomegaly: float,
    scoliosis: float,
    emphysema: float,
    fracture: tuple[float, int],
) -> Chest:
    """Return the chest of one patient on one film.

    Args:
        shape: the patient's, `[NUM_SHAPE]`: 0 width, 1 heart width, 2 heart height, 3 diaphragm, 4 rib spacing,
            5 mediastinum, 6 girth, 7 rib slope, 8 clavicles; 9 is not used here.
        conditions: the film's; 0 turn about the long axis, 1 breath.
        female: smaller frame.
        bedside: shallow breath, larger heart shadow: the film is behind the back, nearer to the tube.
        cardiomegaly: severity, 0 (absent) to 1.
        scoliosis: severity.
        emphysema: severity.
        fracture: severity and side of a displaced clavicle.
    """
    turn = (0.05 if bedside else 0.025) * conditions[0]
    breath = (
        0.05 * conditions[1] - (0.10 if bedside else 0.0) + 0.04 * shape[3] + 0.16 * _present(emphysema, 0.3)
    )
    width = (0.95 if female else 1.0) * (1 + 0.04 * shape[0]) * (0.97 if emphysema else 1.0)

    lungs = tuple(
        _shifted(_smooth(_lung(side, width, breath, flat=_present(emphysema, 0.3))), turn * 0.4)
        for side in (RIGHT, LEFT)
    )
    heart = _HEART * (
        (1 + 0.07 * shape[1]) * (1.13 if bedside else 1.0) * (1 + 0.36 * _present(cardiomegaly, 0.4)),
        (1 + 0.05 * shape[2]) * (1 + 0.10 * _present(cardiomegaly, 0.3)),
    )
    heart = _shifted(heart, turn, breath * 0.6 + 0.02 * shape[2])
    mediastinum = _shifted(_MEDIASTINUM * (1 + 0.10 * shape[5] + (0.12 if bedside else 0.0), 1.0), turn)
    body = _BODY * ((1 + 0.06 * shape[6]) * (width * 0.98), 1.0)

    bend = 0.24 * _present(scoliosis, 0.45) * math.copysign(1.0, shape[9])
    rear, front = _ribs(width, 1 + 0.04 * shape[4], 0.05 * shape[7], bend)
    heights = np.linspace(-1.3, 1.5, 24)
    return Chest(
        body=_smooth(body),
        lungs=(lungs[0], lungs[1]),
        heart=_smooth(heart),
        mediastinum=_smooth(mediastinum),
        spine=np.column_stack([_spine_at(heights, bend) - 0.3 * turn, heights]),
        rear_ribs=rear,
        front_ribs=front,
        clavicles=(
            _clavicle(RIGHT, width, turn, bedside, shape[8], fracture),
            _clavicle(LEFT, width, turn, bedside, shape[8], fracture),
        ),
        hila=np.array([(-0.22 + turn, -0.10 + breath * 0.3), (0.22 + turn, -0.16 + breath * 0.3)]),
    )


def _shifted(points: np.ndarray, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    return points + np.array([x, y])


def _present(severity: float, least: float) -> float:
    """Return 0 without the finding, else `least` to 1: even the mildest that a reader calls present can be seen."""
    return least + (1 - least) * severity if severity > 0 else 0.0


def _lung(side: int, width: float, breath: float, *, flat: float) -> np.ndarray:
    outline = _LUNG.copy()
    outline[_DIAPHRAGM, 1] += breath
    dome = outline[_DIAPHRAGM, 1]
    # Hyperinflation presses the dome flat: its points move toward the height of the costophrenic angle.
    outline[_DIAPHRAGM, 1] += 0.5 * flat * (dome[0] - dome)
    if side == LEFT:
        outline[_DIAPHRAGM, 1] += 0.035  # the right dome stands higher: the liver lies below it
    return outline * (side * width, 1.0)


def _spine_at(y: np.ndarray, bend: float) -> np.ndarray:
    return bend * np.cos(math.pi * 0.62 * (y - 0.05))


def _ribs(width: float, spacing: float, slope: float, bend: float) -> tuple[np.ndarray, np.ndarray]:
    along = np.linspace(0.0, 1.0, 9)
    heights = (-0.84 + 0.168 * np.arange(NUM_RIBS) * spacing)[:, None]
    reach = width * np.array([0.52, 0.66, 0.74, 0.79, 0.82, 0.84, 0.86, 0.87, 0.88])[:, None]
    rear_x = 0.07 + (reach - 0.07) * np.sin(along * math.pi / 2)
    rear_y = heights - 0.05 * np.sin(along * math.pi) + (0.22 + slope) * along**2
    front_x = reach * (1 - 0.55 * along**1.5)
    front_y = heights + 0.22 + slope + 0.34 * along
    rear = _both_sides(rear_x, np.broadcast_to(rear_y, rear_x.shape))
    front = _both_sides(front_x, np.broadcast_to(front_y, front_x.shape))
    # A bent spine takes the ribs with it, least at their ends.
    rear[..., 0] += _spine_at(rear[..., 1], bend) * (
        1 - 0.6 * np.tile(along, 2 * NUM_RIBS).reshape(-1, len(along))
    )
    return rear, front


def _both_sides(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.concatenate([np.stack([-x, y], axis=-1), np.stack([x, y], axis=-1)])


def _clavicle(
    side: int, width: float, turn: float, bedside: bool, shape: float, fracture: tuple[float, int]
) -> list[np.ndarray]:
    """Return the pieces of a clavicle: one, or two where it is broken."""
    along = np.linspace(0.0, 1.0, 7)
    x = side * (0.09 + (0.70 * width - 0.09) * along) + turn
    y = -0.62 - (0.18 if bedside else 0.06) * along - 0.05 * np.sin(along * 2 * math.pi) + 0.04 * shape
    line = np.column_stack([x, y])
    severity, broken_side = fracture
    if severity == 0 or broken_side not in (side, 0):
        return [line]
    step = np.array([-side * 0.10, 0.28 * _present(severity, 0.6)])
    return [_shifted(line[:4], y=-0.05), line[3:] + step]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a film shows the chest: `pixel = matrix @ (x, y, 1)`.

    Attributes:
        matrix: `[2, 3]`.
        scale: pixels for one unit of the chest frame.
    """

    matrix: np.ndarray
    scale: float

    def points(self, chest_points: np.ndarray) -> np.ndarray:
        """Return pixel coordinates, float `[..., 2]`, of points of the chest frame."""
        return chest_points @ self.matrix[:, :2].T + self.matrix[:, 2]


def place(height: int, width: int, conditions: np.ndarray, *, bedside: bool) -> Placement:
    """Return the placement on a canvas of `height` x `width` pixels.

    `conditions` are the film's: 2 tilt, 3 magnification, 4 and 5 shift. Bedside films are placed less carefully.
    """
    care = 1.6 if bedside else 1.0
    tilt = math.radians(2.2 * care * conditions[2])
    scale = width / 2 * (0.94 + 0.04 * care * float(np.clip(conditions[3], -2.5, 2.5)))
    cos, sin = scale * math.cos(tilt), scale * math.sin(tilt)
    x = width * (0.5 + 0.02 * care * conditions[4])
    y = height * (0.5 + 0.02 * care * conditions[5]) + 0.08 * scale
    return Placement(np.array([[cos, -sin, x], [sin, cos, y]]), scale)
