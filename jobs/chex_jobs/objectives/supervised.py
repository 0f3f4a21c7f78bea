"""Supervised pretraining: binary cross-entropy over the labels that are known.

Unknown cells weigh nothing, and the sum is divided by the number of known cells of the *global* batch, as in
the CheXpert trainers, but over ranks: a mean of each rank's means would weigh a label by how many others its
rank happened to have.
"""

import torch
from torch import nn

import chex_api.objective as api
from chex_jobs.models.heads import full_precision
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.seeding import isolated_random
from chex_jobs.objectives.batch import Batch
from chex_jobs.objectives.gather import sum_over_ranks, world_size
from chex_jobs.objectives.loss import Loss, with_global_value
from chex_jobs.objectives.parts import Parts


class Supervised(nn.Module):
    """Image + labels; one view of each film.

    Attributes:
        image_encoder: the tower.
        head: linear classifier, one logit for each task.
        positive_weights: buffer `[T]`, weight of a positive cell relative to a negative one.
    """

    positive_weights: torch.Tensor

    def __init__(
        self,
        image_encoder: ImageEncoderModule,
        *,
        num_tasks: int,
        seed: int,
        positive_weights: torch.Tensor | None = None,
    ) -> None:
        """Build the head.

        Args:
            image_encoder: with the weights to start from, normalisation already grouped.
            num_tasks: T, columns of `labels`.
            seed: seed of the manifest, for the head.
            positive_weights: float `[T]`, > 0; None weighs all cells alike.
        """
        super().__init__()
        self.image_encoder = image_encoder
        with isolated_random(seed, "supervised head"):
            self.head = nn.Linear(image_encoder.num_features, num_tasks)
        weights = torch.ones(num_tasks) if positive_weights is None else positive_weights.float().clone()
        if weights.shape != (num_tasks,):
            raise ValueError(
                f"positive_weights have shape {tuple(weights.shape)}; there are {num_tasks} tasks"
            )
        self.register_buffer("positive_weights", weights)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[B, T]` of films `[B, 1, S, S]`."""
        return self.head(self.image_encoder(images))

    def forward(self, batch: Batch) -> Loss:
        """Return the loss and `labelled`, the number of known cells of the global batch.

        A global batch without any known cell has loss 0 and gradient 0.

        Args:
            batch: `images` `[B, V, S, S]`, of which the first view is used, and `labels` `[B, T]`.
        """
        logits = self.logits(batch["images"][:, 0:1])
        total, known = masked_cross_entropy(logits, batch["labels"], self.positive_weights)
        all_known = sum_over_ranks(known)
        # Times W, because ranks average what they should add up.
        local = total * world_size() / all_known.clamp(min=1)
        return Loss(with_global_value(local), {"labelled": all_known})


def masked_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, positive_weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of the binary cross-entropies of known cells, and their number.

    Args:
        logits: `[B, T]`.
        labels: `[B, T]`; 1, 0, or NaN for unknown.
        positive_weights: `[T]`.
    """
    known = ~torch.isnan(labels)
    # Replaced before the loss, not only masked after it: NaN times zero is NaN, in the backward pass too.
    targets = torch.where(known, labels, torch.zeros_like(labels))
    logits = full_precision(logits)
    with torch.autocast(logits.device.type, enabled=False):
        cells = nn.functional.binary_cross_entropy_with_logits(
            logits, targets.to(logits.dtype), pos_weight=positive_weights, reduction="none"
        )
    return torch.where(known, cells, torch.zeros_like(cells)).sum(), known.sum()


def build(settings: api.Supervised, parts: Parts) -> Supervised:
    """The module of `objective.supervised`: which tasks it learns is settled by the columns of its labels."""
    del settings
    return Supervised(
        parts.image_encoder,
        num_tasks=parts.num_tasks,
        seed=parts.seed,
        positive_weights=parts.positive_weights,
    )
