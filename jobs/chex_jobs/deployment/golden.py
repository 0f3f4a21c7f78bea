"""Golden inputs: generated films whose logits are stored, so that a copy can prove itself wherever it is loaded."""

import io

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chex_jobs.data.decoding.decode import decode_film
from chex_jobs.data.loading.augmentation import standard_view
from chex_jobs.data.phantom.generator import PhantomArchive
from chex_jobs.data.phantom.settings import PhantomSettings
from chex_jobs.deployment.bundle import BundleError, Preprocessing

NUM_FILMS = 8
TOLERANCE = 1e-3
"""Largest difference of a logit between two machines. Float32 sums in another order differ by about 1e-5."""


def golden_views(size: int) -> NDArray[np.uint8]:
    """Generated films in the standard view, uint8 `[8, 1, S, S]`. No patient's film is ever stored with a model."""
    archive = PhantomArchive(
        PhantomSettings(patients=NUM_FILMS, size=max(64, min(size, 512)), seed=20_230_513)
    )
    return np.stack([standard_view(archive.film(index), size)[None] for index in range(NUM_FILMS)])


def golden_film(stored_short_side: int) -> bytes:
    """A generated film as a PNG file, of odd sizes and larger than what is stored, so that every step of the preprocessing counts."""
    film = PhantomArchive(PhantomSettings(patients=1, size=256, seed=20_230_514)).film(0)
    height, width = (7 * stored_short_side // 5) | 1, (9 * stored_short_side // 8) | 1
    _, file = cv2.imencode(".png", cv2.resize(film, (width, height), interpolation=cv2.INTER_CUBIC))
    return file.tobytes()


def golden_film_view(film_file: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """What the model sees of it, uint8 `[1, 1, S, S]`."""
    film = decode_film(film_file, preprocessing.stored_short_side)
    return standard_view(film, preprocessing.size)[None, None]


def logits_of(model: nn.Module, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32 `[N, T]` of views uint8 `[N, 1, S, S]`, on CPU."""
    with torch.inference_mode():
        return model(torch.from_numpy(np.ascontiguousarray(views))).float().numpy()


def write_golden(
    views: NDArray[np.uint8], logits: NDArray[np.float32], film_logits: NDArray[np.float32]
) -> bytes:
    """The content of `golden.npz`; `film_logits` `[T]` are those of the golden film, from its file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=views, logits=logits, film_logits=film_logits)
    return buffer.getvalue()


def check_golden(model: nn.Module, content: bytes, film_file: bytes, preprocessing: Preprocessing) -> None:
    """Raise `BundleError` unless the model gives its golden logits here, from views and from the file of a film."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        views, expected, film_logits = stored["images"], stored["logits"], stored["film_logits"]
    _compare(logits_of(model, views), expected)
    _compare(logits_of(model, golden_film_view(film_file, preprocessing)), film_logits[None])


def _compare(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    if found.shape != expected.shape:
        raise BundleError(
            f"golden.npz has logits of shape {expected.shape}, the model gives {found.shape}; get the folder again"
        )
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise BundleError(
            f"the model gives other logits here than when it was made: they differ by up to {difference:.3g}, more than {TOLERANCE:g}. "
            "Do not use it on this machine; check the versions of torch and timm against config.json"
        )
