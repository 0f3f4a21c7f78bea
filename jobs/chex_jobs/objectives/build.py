"""From `objective: {...}` of a manifest to its module."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from chex_api.objective import AnyObjective, Clip, MoCo, ObjectiveSettings, Supervised
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.text_encoder import TextEncoderModule
from chex_jobs.objectives import clip, moco, supervised
from chex_jobs.objectives.parts import Parts

BUILDERS: dict[type[ObjectiveSettings], Callable[[Any, Parts], nn.Module]] = {
    MoCo: moco.build,
    Clip: clip.build,
    Supervised: supervised.build,
}
"""From settings and parts to the module. A test holds the keys equal to the members of the unions."""


def build_objective(
    objective: AnyObjective,
    image_encoder: ImageEncoderModule,
    text_encoder: TextEncoderModule | None = None,
    *,
    seed: int,
    global_batch_size: int,
    group_size: int | None,
    num_tasks: int = 0,
    positive_weights: torch.Tensor | None = None,
) -> nn.Module:
    """Return the objective around encoders that are ready: weights loaded, normalisation grouped.

    Args:
        objective: the union of the manifest.
        image_encoder: the image tower.
        text_encoder: needed by objectives that read reports.
        seed: seed of the manifest.
        global_batch_size: films in a step over all ranks.
        group_size: films that BatchNorm treats together, as `batch_norm_group_size` gave it; None for
            encoders without.
        num_tasks: columns of `labels`, for objectives that need tasks.
        positive_weights: weight of positive cells, `[num_tasks]`, for objectives that need tasks.

    Raises:
        ValueError: the objective lacks what it needs, or its sizes do not fit each other.
    """
    settings = objective.settings
    if settings.READS_REPORTS and text_encoder is None:
        raise ValueError(f"objective.{objective.name} needs a text tower; add encoders.text")
    if settings.NEEDS_TASKS and num_tasks < 1:
        raise ValueError(f"objective.{objective.name} needs a data set with tasks; add datasets[].tasks")
    parts = Parts(
        image_encoder, text_encoder, seed, global_batch_size, group_size, num_tasks, positive_weights
    )
    return BUILDERS[type(settings)](settings, parts)


def batch_norm_group_size(
    objective: AnyObjective, image_encoder: nn.Module, *, wanted: int, global_batch_size: int
) -> int | None:
    """Films to normalise together: the largest number up to `wanted` that divides the global batch.

    In as many groups as the objective needs: MoCo's keys must be normalised with other films than its queries. None for
    encoders without BatchNorm.

    Args:
        objective: the union of the manifest.
        image_encoder: before its normalisation is grouped.
        wanted: `batchNorm.groupSize`.
        global_batch_size: films in a step over all ranks.
    """
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in image_encoder.modules()):
        return None
    most = min(wanted, global_batch_size // objective.settings.LEAST_BATCH_NORM_GROUPS)
    return next(size for size in range(max(1, most), 0, -1) if global_batch_size % size == 0)
