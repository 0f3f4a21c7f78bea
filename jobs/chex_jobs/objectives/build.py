"""From `objective: {...}` of a manifest to its module."""

import torch
from torch import nn

import chex_api.pretraining as api
from chex_api.hospital import DaptObjective
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.text_encoder import TextEncoderModule
from chex_jobs.objectives.clip import Clip
from chex_jobs.objectives.moco import MoCo
from chex_jobs.objectives.supervised import Supervised


def build_objective(
    objective: api.Objective | DaptObjective,
    image_encoder: ImageEncoderModule,
    text_encoder: TextEncoderModule | None = None,
    *,
    seed: int,
    global_batch_size: int,
    group_size: int | None,
    num_tasks: int = 0,
    positive_weights: torch.Tensor | None = None,
) -> MoCo | Clip | Supervised:
    """Return the objective around encoders that are ready: weights loaded, normalisation grouped.

    Args:
        objective: the union of the manifest.
        image_encoder: the image tower.
        text_encoder: needed by `clip` only.
        seed: seed of the manifest.
        global_batch_size: films in a step over all ranks.
        group_size: films that BatchNorm treats together, as `batch_norm_group_size` gave it; None for
            encoders without.
        num_tasks: columns of `labels`, for `supervised`.
        positive_weights: weight of positive cells, `[num_tasks]`, for `supervised`.

    Raises:
        ValueError: the objective lacks what it needs, or its sizes do not fit each other.
    """
    match objective.member():
        case _, api.MoCo() as moco:
            return MoCo(
                image_encoder,
                temperature=moco.temperature,
                queue_size=moco.queue_size,
                momentum=moco.momentum,
                projection_dim=moco.projection_dim,
                global_batch_size=global_batch_size,
                group_size=group_size,
                seed=seed,
            )
        case _, api.Clip() as clip:
            if text_encoder is None:
                raise ValueError("objective.clip needs a text tower; add encoders.text")
            return Clip(
                image_encoder,
                text_encoder,
                temperature=clip.temperature,
                projection_dim=clip.projection_dim,
                seed=seed,
            )
        case _, api.Supervised():
            if num_tasks < 1:
                raise ValueError("objective.supervised needs a data set with tasks; add datasets[].tasks")
            return Supervised(
                image_encoder, num_tasks=num_tasks, seed=seed, positive_weights=positive_weights
            )
        case name, _:
            raise ValueError(f"objective.{name} has no module")


def batch_norm_group_size(
    objective: api.Objective | DaptObjective, image_encoder: nn.Module, *, wanted: int, global_batch_size: int
) -> int | None:
    """Films to normalise together: the largest number up to `wanted` that divides the global batch.

    At least two groups for MoCo, whose keys must be normalised with other films than its queries. None for
    encoders without BatchNorm.

    Args:
        objective: the union of the manifest.
        image_encoder: before its normalisation is grouped.
        wanted: `batchNorm.groupSize`.
        global_batch_size: films in a step over all ranks.
    """
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in image_encoder.modules()):
        return None
    most = min(
        wanted, global_batch_size // 2 if isinstance(objective.member()[1], api.MoCo) else global_batch_size
    )
    return next(size for size in range(max(1, most), 0, -1) if global_batch_size % size == 0)
