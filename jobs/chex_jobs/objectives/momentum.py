"""A network that follows another: the key encoder of momentum contrast (He et al. 2020, arXiv 1911.05722)."""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from chex_jobs.objectives.gather import gather


def ema_copy_of(leader: nn.Module) -> nn.Module:
    """A copy of a network whose parameters have become buffers of the same names.

    Buffers are what is wanted of it: optimizers never see them, ZeRO never divides them, DeepSpeed leaves
    them in float32, and whoever stores state by name stores them too. Layers read `self.weight` and do not
    mind.
    """
    follower = copy.deepcopy(leader)
    for module in follower.modules():
        for name, parameter in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return follower


@torch.no_grad()
def ema_update(follower: nn.Module, leader: nn.Module, momentum: float) -> None:
    """Average: follower = momentum * follower + (1 - momentum) * leader, over the parameters of the leader.

    Statistics of BatchNorm are not averaged: the follower's come from its own batches. Under ZeRO-3 this is
    a collective call.

    Args:
        follower: what `ema_copy_of(leader)` made.
        leader: the network that is trained.
        momentum: 0 to 1; 1 leaves the follower where it is.
    """
    parameters = dict(leader.named_parameters())
    buffers = dict(follower.named_buffers())
    own = [buffers[name] for name in parameters]
    leading = _whole(parameters.values())
    torch._foreach_lerp_(own, leading, 1.0 - momentum)  # pyright: ignore[reportPrivateImportUsage]


def _whole(parameters: Iterable[nn.Parameter]) -> list[torch.Tensor]:
    """Whole values of parameters, also of those that ZeRO-3 keeps in shares.

    The shares are gathered here, in one collective, and not by `deepspeed.zero.GatheredParameters`: in a
    forward pass ZeRO-3 already fetches the next layers' parameters ahead, and that context then stops with
    "Cannot partition a param in flight" (DeepSpeed 0.19.8). Shares are always up to date after a step.
    """
    every = list(parameters)
    divided: list[Any] = [parameter for parameter in every if hasattr(parameter, "ds_tensor")]
    if not divided:
        return [parameter.detach() for parameter in every]
    assert len(divided) == len(every), "ZeRO-3 divides all parameters of a module or none"
    shares = [parameter.ds_tensor.detach() for parameter in divided]  # [ceil(numel / W)], the last one padded
    table = gather(torch.cat(shares).unsqueeze(0))  # [W, sum of shares]
    columns = table.split([share.numel() for share in shares], dim=1)
    return [
        column.reshape(-1)[: parameter.ds_numel].view(parameter.ds_shape)
        for column, parameter in zip(columns, divided, strict=True)
    ]
