"""Films whose pixels are not square (PS3.3 C.7.6.3.1.7 and 10.7.1.3): the body keeps its proportions."""

import math
from typing import cast

import cv2
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from chex_jobs.data.decoding.pixels import Film

_SPACINGS = ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
"""Of detectors, of scanners, and for objects without either. Each holds a vertical and a horizontal number."""
_ROUNDING = 0.01
"""Share by which two spacings of a square pixel may differ as they are written."""


def with_square_pixels(dataset: Dataset, film: Film) -> Film:
    """Return a film [H, W] with the side reduced along which its pixels are denser; one of square pixels as it is."""
    shape = _ratio(dataset)
    if abs(shape - 1.0) <= _ROUNDING:
        return film
    height, width = film.shape
    size = (max(1, round(width / shape)), height) if shape > 1.0 else (width, max(1, round(height * shape)))
    return cast(Film, cv2.resize(film, size, interpolation=cv2.INTER_AREA))


def _ratio(dataset: Dataset) -> float:
    """Return the height of a pixel by its width; 1 where nothing is told."""
    for name in _SPACINGS:
        value = dataset.get(name)
        if isinstance(value, MultiValue) and len(value) == 2:
            vertical, horizontal = map(float, value)
            if min(vertical, horizontal) > 0 and math.isfinite(vertical + horizontal):
                return vertical / horizontal
    return 1.0
