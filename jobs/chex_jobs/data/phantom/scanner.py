"""From attenuation to a film: exposure, grey curve, blur, noise, black borders and burned-in letters of a machine."""

import cv2
import numpy as np

from chex_jobs.data.phantom.hospitals import Scanner

# Attenuation that a usual machine shows as black and as white.
_BLACK, _WHITE = 0.10, 1.45


def develop(
    beam_loss: np.ndarray,
    height: int,
    width: int,
    machine: Scanner,
    conditions: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the film, uint8 `[height, width]`, of an attenuation map, float32, of that size or more.

    `conditions` are the film's: 6 exposure, 7 contrast, 8 grey curve, 9 and 10 unevenness of the beam, 11 borders.
    """
    grey = cv2.resize(beam_loss, (width, height), interpolation=cv2.INTER_AREA)
    spread = machine.exposure_spread
    window = (_WHITE - _BLACK) / (machine.contrast * np.exp(0.12 * spread * conditions[7]))
    middle = (_WHITE + _BLACK) / 2 + 0.08 * spread * conditions[6]
    grey -= np.float32(middle - window / 2)
    grey *= np.float32(1 / window)
    grey += _unevenness(height, width, conditions)
    np.clip(grey, 0.0, 1.0, out=grey)
    grey = cv2.pow(grey, machine.gamma * float(np.exp(0.12 * spread * conditions[8])))
    sigma = machine.blur * min(height, width) / 64
    if sigma >= 0.2:
        grey = cv2.GaussianBlur(grey, (0, 0), sigma)
    grey += rng.standard_normal((height, width), dtype=np.float32) * np.float32(machine.noise)
    film = np.rint(grey.clip(0.0, 1.0, out=grey) * 255).astype(np.uint8)
    _collimate(film, machine, conditions, rng)
    _mark(film, machine, rng)
    return film


def _unevenness(height: int, width: int, conditions: np.ndarray) -> np.ndarray:
    """Return a plane of grey: the beam is never quite even, least so when patient or plate lies askew."""
    across = np.linspace(-0.06, 0.06, width, dtype=np.float32) * np.float32(conditions[9])
    down = np.linspace(-0.06, 0.06, height, dtype=np.float32) * np.float32(conditions[10])
    return across[None, :] + down[:, None]


def _collimate(film: np.ndarray, machine: Scanner, conditions: np.ndarray, rng: np.random.Generator) -> None:
    if rng.random() >= machine.collimation:
        return
    height, width = film.shape
    top, bottom, left, right = (rng.uniform(0.0, 0.05, 4) * (1 + abs(conditions[11]))).tolist()
    film[: round(top * height)] = 0
    film[height - round(bottom * height) :] = 0
    film[:, : round(left * width)] = 0
    film[:, width - round(right * width) :] = 0


def _mark(film: np.ndarray, machine: Scanner, rng: np.random.Generator) -> None:
    if rng.random() >= machine.marker:
        return
    height, width = film.shape
    text = "AP" if machine.bedside else "L"
    size = max(0.2, width / 400) * float(rng.uniform(0.9, 1.3))
    origin = (round(width * float(rng.uniform(0.78, 0.86))), round(height * float(rng.uniform(0.08, 0.16))))
    cv2.putText(film, text, origin, cv2.FONT_HERSHEY_SIMPLEX, size, 235, max(1, width // 250), cv2.LINE_AA)
