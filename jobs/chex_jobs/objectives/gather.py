"""Collectives of the objectives. Without a process group, as in a warm trial actor, there is one rank.

The scaling to remember (compared with a full batch in one process over three SGD steps; same in ZeRO 0 to 3):

    gather with gradient, each rank's loss over its own rows, gradients averaged: exact
    gather without gradient, own rows put back: encoders get too little
    that, times the number of ranks: logit_scale gets too much
"""

from typing import Any, cast

import torch
import torch.distributed as dist


def world_size() -> int:
    """Number of ranks."""
    return dist.get_world_size() if _distributed() else 1


def rank() -> int:
    """Number of this rank, from 0."""
    return dist.get_rank() if _distributed() else 0


def gather(local: torch.Tensor) -> torch.Tensor:
    """All ranks' rows in their order, without gradient: `[B, ...]` -> `[W * B, ...]`, B equal everywhere."""
    local = local.detach().contiguous()
    if world_size() == 1:
        return local
    parts = [torch.empty_like(local) for _ in range(world_size())]
    dist.all_gather(parts, local)
    return torch.cat(parts)


def gather_with_gradient(local: torch.Tensor) -> torch.Tensor:
    """All ranks' rows in their order: `[B, ...]` -> `[W * B, ...]`, B equal everywhere.

    The gradient of a rank's rows is the *sum* of what all ranks' losses send to them, as the derivative of
    the sum of those losses is; the average over ranks that DeepSpeed and DDP take afterwards makes it that of
    their mean. `torch.distributed.all_gather` itself would cut the graph and lose the other ranks' share
    without an error.
    """
    if world_size() == 1:
        return local
    return cast(torch.Tensor, _Gather.apply(local))


def sum_over_ranks(value: torch.Tensor) -> torch.Tensor:
    """Sum over ranks, without gradient; the argument stays as it is."""
    total = value.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def mean_over_ranks(value: torch.Tensor) -> torch.Tensor:
    """Mean over ranks, without gradient; the argument stays as it is."""
    return sum_over_ranks(value) / world_size()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: torch.Tensor) -> torch.Tensor:
        ctx.num_rows = local.shape[0]
        return gather(local)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        # An all-reduce and a slice, not a reduce-scatter, which gloo lacks: embeddings are small, and one way
        # for every backend is one way to test.
        total = sum_over_ranks(gradients[0].contiguous())
        return total[rank() * ctx.num_rows : (rank() + 1) * ctx.num_rows]


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
