"""What an objective's module is built from, beside its settings."""

from dataclasses import dataclass

import torch

from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.text_encoder import TextEncoderModule


@dataclass(frozen=True, eq=False)
class Parts:
    """Encoders that are ready (weights loaded, normalisation grouped), and sizes.

    Attributes:
        image_encoder: the image tower.
        text_encoder: there for objectives that read reports.
        seed: seed of the manifest.
        global_batch_size: films in a step over all ranks.
        group_size: films that BatchNorm treats together, as `batch_norm_group_size` gave it; None for
            encoders without.
        num_tasks: columns of `labels`; at least 1 for objectives that need tasks.
        positive_weights: weight of positive cells, `[num_tasks]`; None weighs all cells alike.
    """

    image_encoder: ImageEncoderModule
    text_encoder: TextEncoderModule | None
    seed: int
    global_batch_size: int
    group_size: int | None
    num_tasks: int = 0
    positive_weights: torch.Tensor | None = None
