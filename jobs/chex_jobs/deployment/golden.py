"""Golden inputs: generated films whose logits are stored, so that a copy can prove itself wherever it is loaded."""

import io

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chex_jobs.data.augmentation import standard_view
from chex_jobs.data.phantom.generator import PhantomArchive
from chex_jobs.data.phantom.settings import PhantomSettings
from chex_jobs.deployment.bundle import BundleError

NUM_FILMS = 8
TOLERANCE = 1e-3
"""Largest difference of a logit between two machines. Float32 sums in another order differ by about 1e-5."""


def golden_views(size: int) -> NDArray[np.uint8]:
    """Generated films in the standard view, uint8 `[8, 1, S, S]`. No patient's film is ever stored with a model."""
    archive = PhantomArchive(
        PhantomSettings(patients=NUM_FILMS, size=max(64, min(size, 512)), seed=20_230_513)
    )
    return np.stack([standard_view(archive.film(index), size)[None] for index in range(NUM_FILMS)])


def logits_of(model: nn.Module, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32 `[N, T]` of views uint8 `[N, 1, S, S]`, on CPU."""
    with torch.inference_mode():
        return model(torch.from_numpy(np.ascontiguousarray(views))).float().numpy()


def write_golden(views: NDArray[np.uint8], logits: NDArray[np.float32]) -> bytes:
    """The content of `golden.npz`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=views, logits=logits)
    return buffer.getvalue()


def check_golden(model: nn.Module, content: bytes) -> None:
    """Raise `BundleError` unless the model gives its golden logits here."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        views, expected = stored["images"], stored["logits"]
    found = logits_of(model, views)
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
