"""Momentum contrast, version 2 (He et al. 2020, arXiv 1911.05722; Chen et al. 2020, arXiv 2003.04297).

Two views of a film: the query encoder's view is to find the key encoder's view among a queue of earlier
films' keys. A film's own earlier keys are no negatives of it: at the end of an epoch and the beginning of the next
they are in the queue, whatever its length. The key encoder follows the query encoder with momentum, and its keys carry no gradient.

**The leak through BatchNorm.** If a query and its key are normalised together with the same other films, the
group's statistics tell which key belongs, and nothing is learned about films. The paper shuffles films among
GPUs for the key branch. Here normalisation is in groups of fixed size, whatever the number of ranks, so the
key branch sees the *global* batch in another order, in which its groups are as unlike the query's as can be
(`shuffle_bn_order`): a film shares with its key's group ceil(g / G) films of its own group, itself included, for G
groups of g films. That needs two groups or more.

**When the key encoder moves.** At the start of each training pass, from the weights that the optimizer's last
step left: the paper's order (step, then update, then the next keys), without a hook that the training loop
would have to call. A checkpoint taken between steps therefore holds everything.
"""

import torch
from torch import nn

import chex_api.objective as api
from chex_jobs.models.heads import l2_normalize, mlp_projection
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.seeding import derived_seed
from chex_jobs.objectives.batch import Batch
from chex_jobs.objectives.contrastive import info_nce
from chex_jobs.objectives.gather import gather, mean_over_ranks, rank, world_size
from chex_jobs.objectives.loss import Loss, with_global_value
from chex_jobs.objectives.momentum import ema_copy_of, ema_update
from chex_jobs.objectives.parts import Parts


class MoCo(nn.Module):
    """Image only; needs two views of each film.

    Attributes:
        image_encoder, image_projection: the query branch, which is trained.
        key_encoder, key_projection: the key branch; buffers only.
        queue: buffer `[K, D]`, rows of length 1; the same on every rank.
        queue_films: buffer int64 `[K]`, the ordinals of the films of the queue; -1 for random first rows.
        queue_position: buffer int64 `[1]`, where the next keys go.
    """

    queue: torch.Tensor
    queue_films: torch.Tensor
    queue_position: torch.Tensor

    def __init__(
        self,
        image_encoder: ImageEncoderModule,
        *,
        temperature: float,
        queue_size: int,
        momentum: float,
        projection_dim: int,
        global_batch_size: int,
        group_size: int | None,
        seed: int,
    ) -> None:
        """Build the key branch as a copy of the query branch as it is now.

        Args:
            image_encoder: with the weights to start from, normalisation already grouped.
            temperature: > 0; 0.2 in MoCo v2, and in MoCo-CXR's scripts.
            queue_size: keys kept, a multiple of the global batch.
            momentum: share of the key encoder kept in a step, 0 to 1.
            projection_dim: D, dimension of queries and keys.
            global_batch_size: films in a step over all ranks.
            group_size: films normalised together; None for encoders without BatchNorm.
            seed: seed of the manifest, for the head and the first queue.

        Raises:
            ValueError: the queue is no multiple of the batch, or the batch has fewer than two whole groups.
        """
        super().__init__()
        _check_sizes(queue_size, global_batch_size, group_size)
        self.temperature = temperature
        self.momentum = momentum
        self.global_batch_size = global_batch_size
        self.group_size = group_size
        self.image_encoder = image_encoder
        self.image_projection = mlp_projection(
            image_encoder.num_features, projection_dim, seed=seed, purpose="moco projection"
        )
        self.key_encoder = ema_copy_of(self.image_encoder)
        self.key_projection = ema_copy_of(self.image_projection)
        generator = torch.Generator().manual_seed(derived_seed(seed, "moco queue"))
        self.register_buffer(
            "queue", l2_normalize(torch.randn(queue_size, projection_dim, generator=generator))
        )
        self.register_buffer("queue_films", torch.full((queue_size,), -1, dtype=torch.int64))
        self.register_buffer("queue_position", torch.zeros(1, dtype=torch.int64))

    def forward(self, batch: Batch) -> Loss:
        """Return the loss and `top1`, the share of queries that find their key; in training, enqueue keys.

        Args:
            batch: `images` `[B, V, S, S]` with V >= 2; the first view makes queries, the second keys; `ordinals`,
                without which every film is taken for a new one.
        """
        images = batch["images"]
        if self.training:
            ema_update(self.key_encoder, self.image_encoder, self.momentum)
            ema_update(self.key_projection, self.image_projection, self.momentum)
        queries = l2_normalize(self.image_projection(self.image_encoder(images[:, 0:1])))  # [B, D]
        with torch.no_grad():
            all_keys = self._keys(images[:, 1:2])  # [W * B, D]
        own = slice(rank() * len(images), (rank() + 1) * len(images))
        # The queue is overwritten below, and the backward pass needs it as it was.
        negatives, films = self.queue.clone(), self.queue_films.clone()
        with torch.autocast(images.device.type, enabled=False):
            contrast = info_nce(
                queries, all_keys[own], negatives, 1.0 / self.temperature,
                anchor_groups=batch.get("ordinals"), candidate_groups=films,
            )  # fmt: skip
        if self.training:
            self._enqueue(all_keys, batch.get("ordinals"))
        return Loss(with_global_value(contrast.loss), {"top1": mean_over_ranks(contrast.top1)})

    def _keys(self, images: torch.Tensor) -> torch.Tensor:
        """Keys `[W * B, D]` of the global batch, in its own order, from this rank's views `[B, 1, S, S]`."""
        num_rows = len(images)
        if self.group_size is None:
            return gather(l2_normalize(self.key_projection(self.key_encoder(images))))
        # Views travel as uint8, a quarter of the bytes of the paper's code, which shuffles floats.
        order = shuffle_bn_order(num_rows * world_size(), self.group_size).to(images.device)
        mine = order[rank() * num_rows : (rank() + 1) * num_rows]
        keys = gather(l2_normalize(self.key_projection(self.key_encoder(gather(images)[mine]))))
        return keys[torch.argsort(order)]

    def _enqueue(self, keys: torch.Tensor, own_films: torch.Tensor | None) -> None:
        """Put the global batch's keys `[W * B, D]` in the place of the oldest ones; `own_films` `[B]` are this rank's."""
        if len(keys) != self.global_batch_size:
            raise ValueError(
                f"MoCo was built for a global batch of {self.global_batch_size} films and got {len(keys)}; "
                "drop the last, incomplete batch of an epoch"
            )
        # An index tensor, not a slice: `.item()` would make the host wait for the device in every step.
        places = self.queue_position + torch.arange(len(keys), device=keys.device)
        self.queue.index_copy_(0, places, keys)
        unknown = torch.full((len(keys),), -1, device=keys.device)
        self.queue_films.index_copy_(0, places, unknown if own_films is None else gather(own_films))
        self.queue_position.copy_((self.queue_position + len(keys)) % len(self.queue))


def shuffle_bn_order(num_films: int, group_size: int) -> torch.Tensor:
    """The order in which the key branch sees the global batch: int64 `[N]`, a permutation of its rows.

    Groups as rows of a table, read column by column: each new group takes its films as evenly as can be from
    all groups.
    """
    return torch.arange(num_films).view(-1, group_size).T.reshape(-1)


def _check_sizes(queue_size: int, global_batch_size: int, group_size: int | None) -> None:
    if queue_size % global_batch_size:
        raise ValueError(
            f"objective.moCo.queueSize {queue_size} is no multiple of the global batch {global_batch_size}; "
            f"set it to {max(1, round(queue_size / global_batch_size)) * global_batch_size}"
        )
    if group_size is not None and (global_batch_size % group_size or global_batch_size < 2 * group_size):
        raise ValueError(
            f"MoCo with BatchNorm groups of {group_size} films needs a global batch of two or more whole "
            f"groups, not {global_batch_size} films: query and key must be normalised with different films"
        )


def build(settings: api.MoCo, parts: Parts) -> MoCo:
    """The module of `objective.moCo`. Raises `ValueError` for sizes that do not fit each other."""
    return MoCo(
        parts.image_encoder,
        temperature=settings.temperature,
        queue_size=settings.queue_size,
        momentum=settings.momentum,
        projection_dim=settings.projection_dim,
        global_batch_size=parts.global_batch_size,
        group_size=parts.group_size,
        seed=parts.seed,
    )
