"""Features: what a frozen encoder says of every training and validation film, once, for all probes on it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chex_jobs.adaptation.context import FEATURES_FILE, AdaptationContext, NotFinite
from chex_jobs.data.loading.batch_source import FilmSource, evaluation_batches
from chex_jobs.sweep.units import FeaturesUnit

BATCH_SIZE = 64


def run_features(unit: FeaturesUnit, context: AdaptationContext) -> dict[str, Any]:
    """Compute and store the features of one encoder in one fold. Float32, evaluation mode, standard view.

    Raises `NotFinite`.
    """
    summary: dict[str, Any] = {}
    with context.timed(summary):
        data = context.data(unit.fold)
        ordinals = np.sort(np.concatenate([data.train, data.validate]))
        encoder = context.image_encoder(unit.encoder, unit.site.encoder)
        values = forward(encoder, data, ordinals, unit.site.encoder.size, context.device)
    if not np.isfinite(values).all():
        raise NotFinite(
            "its encoder gives features that are NaN or infinite, so nothing can be learned from them"
        )
    attempt = context.attempt(unit)
    attempt.write_safetensors(FEATURES_FILE, {"ordinals": ordinals, "features": values})
    return context.commit(attempt, unit, {**summary, "films": len(ordinals), "filmPasses": len(ordinals)})


def forward(
    module: nn.Module, data: FilmSource, ordinals: NDArray[np.int64], size: int, device: torch.device
) -> NDArray[np.float32]:
    """What a module that takes images [B, 1, S, S] gives for the standard view of films, [N, D].

    In evaluation mode and without autocast: a model must say the same of a film here and where it is deployed.
    The module comes back in the mode in which it was.
    """
    was_training = module.training
    module.to(device).eval()
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        parts = list(_outputs(module, data, ordinals, size, device))
    module.train(was_training)
    return torch.cat(parts).numpy() if parts else np.zeros((0, 0), dtype=np.float32)


def _outputs(
    module: nn.Module, data: FilmSource, ordinals: NDArray[np.int64], size: int, device: torch.device
) -> Iterator[Tensor]:
    for batch in evaluation_batches(data, ordinals, size=size, batch_size=BATCH_SIZE):
        yield module(batch["images"][:, 0:1].to(device)).float().cpu()
