"""The pixels of a film that is decoded: how many there may be, and how they are shrunk and stretched."""

import cv2
import numpy as np
import numpy.typing as npt

from chex_jobs.data.decoding.faults import FilmError, Reason

Film = npt.NDArray[np.uint8]
"""A grey picture, uint8 [height, width], 0 black."""

MAX_PIXELS = 80_000_000
"""Largest detectors give about 20 million; four times that leaves room for stitched films."""


def check_pixels(height: int, width: int) -> None:
    """Raise `FilmError` for a size, read from a header, that no film has."""
    if height <= 0 or width <= 0:
        raise FilmError(Reason.UNREADABLE, f"the header says {width} x {height} pixels")
    if height * width > MAX_PIXELS:
        raise FilmError(Reason.TOO_MANY_PIXELS, f"{width} x {height} pixels, more than {MAX_PIXELS}")


def stored_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Return height and width of the stored film: aspect kept to the nearest pixel, never enlarged."""
    if min(height, width) <= short_side:
        return height, width
    scale = short_side / min(height, width)
    return max(short_side, round(height * scale)), max(short_side, round(width * scale))


def shrink(film: npt.NDArray, short_side: int) -> npt.NDArray:
    """Shrink a picture [H, W] or [H, W, C] by averaging areas, which keeps fine texture from turning into moire."""
    height, width = stored_size(film.shape[0], film.shape[1], short_side)
    if (height, width) == film.shape[:2]:
        return film
    return cv2.resize(film, (width, height), interpolation=cv2.INTER_AREA)


def stretched(film: npt.NDArray) -> Film:
    """Map a picture linearly from its own smallest and largest value to 0 and 255."""
    low, high = float(film.min()), float(film.max())
    if low == high:
        return np.zeros(film.shape, np.uint8)
    return np.rint((film.astype(np.float32) - low) * (255.0 / (high - low))).astype(np.uint8)
