"""From a stored film to what an encoder sees: one geometric warp, one grey-level table, optional blur and noise.

Each random number comes from `(seed, epoch, ordinal, view)`, so a view is the same whichever process, thread or rank
makes it. The film is halved by area averaging until less than a factor of two is left, low-passed for the rest, and
warped once to the output size: a bilinear warp alone would skip pixels of a larger film and alias. Halving is what
OpenCV does fast: 614 x 512 pixels take 20 us a step, where one area resize by any other factor takes 80-650 us.
"""

import math

import cv2
import numpy as np

from chex_api.pretraining import Augmentation
from chex_jobs.data.keyed_random import Stream, keyed_generator

# OpenCV's own pool would take every core of the machine in each loader thread and oversubscribe the trainer's.
cv2.setNumThreads(0)

# Standard deviation of a blurred view, in its pixels: about what a small movement of the patient does.
_BLUR_SIGMA = (0.4, 1.0)

_GREY_LEVELS = np.arange(256) / 255


def augment(film: np.ndarray, size: int, spec: Augmentation, key: tuple[int, int, int, int]) -> np.ndarray:
    """Return one augmented view of a film, uint8 `[size, size]`; black outside the film.

    Args:
        film: uint8 `[H, W]`.
        size: side of the view in pixels.
        spec: how far a view may differ from its film. A zero (for the crop: a one) turns a change off. Mirroring is
            off by default: heart, aortic arch and stomach bubble lie on fixed sides and reports name the side of a
            finding, so a mirrored film teaches that sides do not matter.
        key: `(seed, epoch, ordinal, view)`. Equal keys give bit-equal views.
    """
    seed, epoch, ordinal, view = key
    rng = keyed_generator(Stream.AUGMENTATION, seed, epoch, ordinal, view)
    # Every number is drawn whether or not it is used, so that turning one change on leaves the others as they were.
    area, x, y, beyond_x, beyond_y, angle, flip, brightness, contrast, gamma, blurred, blur, noise = (
        rng.random(13)
    )

    long_side = max(film.shape)
    window = long_side * math.sqrt(spec.crop_min + area * (1 - spec.crop_min))
    reduced, step = _low_passed(film, window / size)
    reduced = cv2.LUT(reduced, _grey_table(reduced, spec, brightness, contrast, gamma))

    slack, beyond = long_side - window, spec.translation * long_side
    centre_x = film.shape[1] / 2 + (x - 0.5) * slack + (2 * beyond_x - 1) * beyond
    centre_y = film.shape[0] / 2 + (y - 0.5) * slack + (2 * beyond_y - 1) * beyond
    turn = math.radians(spec.rotation_degrees) * (2 * angle - 1)
    to_film = _view_to_film(
        size, window / step, centre_x / step, centre_y / step, turn, mirrored=flip < spec.horizontal_flip
    )
    result = cv2.warpAffine(reduced, to_film, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    if blurred < spec.blur:
        low, high = _BLUR_SIGMA
        result = cv2.GaussianBlur(result, (0, 0), low + blur * (high - low))
    if spec.noise > 0:
        result = _noisy(result, noise * spec.noise, rng)
    return result


def standard_view(film: np.ndarray, size: int) -> np.ndarray:
    """Return the view for validation, test and use: the whole film, aspect kept, centred on black; uint8 `[size, size]`.

    A film that already has this shape is returned as it is, without a copy.
    """
    height, width = film.shape
    if height == width == size:
        return film
    scale = size / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    halved, _ = _halved(film, 1 / scale)
    resized = cv2.resize(halved, (new_width, new_height), interpolation=interpolation)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    result = np.zeros((size, size), dtype=np.uint8)
    result[top : top + new_height, left : left + new_width] = resized
    return result


def _halved(film: np.ndarray, factor: float) -> tuple[np.ndarray, int]:
    """Halve a film by area averaging while that leaves at least one pixel for `factor`; return it and its step.

    An odd last row or column is left out: with it OpenCV would take the slow path for a pixel at the film's edge.
    """
    step = 1
    while factor >= 2 * step and min(film.shape) >= 2:
        height, width = film.shape[0] // 2, film.shape[1] // 2
        film = cv2.resize(film[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        step *= 2
    return film, step


def _low_passed(film: np.ndarray, factor: float) -> tuple[np.ndarray, int]:
    """Return the film halved, and blurred for what is left of `factor`, so that sampling every `factor` is right."""
    film, step = _halved(film, factor)
    rest = factor / step
    if rest <= 1:
        return film, step
    # A pixel `rest` times as large has this much more variance; less than 0.87, so three taps hold the kernel.
    return cv2.GaussianBlur(film, (3, 3), 0.5 * math.sqrt(rest * rest - 1)), step


def _view_to_film(
    size: int, window: float, centre_x: float, centre_y: float, turn: float, *, mirrored: bool
) -> np.ndarray:
    """Return the 2x3 affine map from pixel indices of the view to pixel indices of the film.

    Window and centre are in film pixels, where pixel i covers [i, i + 1]; OpenCV's pixel i is centred on i.
    """
    step = window / size
    cos, sin = step * math.cos(turn), step * math.sin(turn)
    to_x, to_y = (-cos, -sin) if mirrored else (cos, sin)
    middle = (size - 1) / 2
    return np.array(
        [
            [to_x, -sin, centre_x - 0.5 - (to_x - sin) * middle],
            [to_y, cos, centre_y - 0.5 - (to_y + cos) * middle],
        ]
    )


def _grey_table(
    film: np.ndarray, spec: Augmentation, brightness: float, contrast: float, gamma: float
) -> np.ndarray:
    """Return 256 grey levels: power, then contrast about the film's mean, then a shift; each number is in [0, 1).

    Applied to the film before the warp, so that what lies outside the film stays black.
    """
    power = (1 + spec.gamma) ** (2 * gamma - 1)
    mean = (cv2.mean(film)[0] / 255) ** power
    slope = 1 + spec.contrast * (2 * contrast - 1)
    shift = mean * (1 - slope) + spec.brightness * (2 * brightness - 1)
    levels = _GREY_LEVELS**power * (255 * slope) + (255 * shift + 0.5)
    return levels.clip(0, 255).astype(np.uint8)


def _noisy(view: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(view.shape, dtype=np.float32)
    noise *= 255 * sigma
    noise += view
    return np.clip(np.rint(noise, out=noise), 0, 255, out=noise).astype(np.uint8)
