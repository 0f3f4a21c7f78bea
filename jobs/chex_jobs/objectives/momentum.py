"""A network that follows another: the key encoder of momentum contrast (He et al. 2020, arXiv 1911.05722)."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def follower_of(leader: nn.Module) -> nn.Module:
    """A copy of a network whose parameters have become buffers of the same names.

    Buffers are what is wanted of it: optimizers never see them, ZeRO never partitions them, DeepSpeed leaves them in
    float32, and whoever stores state by name stores them too. Layers read `self.weight` and do not mind.
    """
    follower = copy.deepcopy(leader)
    for module in follower.modules():
        for name, parameter in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return follower


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, momentum: float) -> None:
    """follower = momentum * follower + (1 - momentum) * leader, for what are parameters of the leader.

    Statistics of BatchNorm are not averaged: the follower's come from its own batches.

    Under ZeRO-3 the leader's parameters are gathered for it. That is a collective, and it must not run while DeepSpeed
    fetches parameters ahead: call it before the engine's forward pass, or in a pre-hook registered before the engine.
    """
    parameters = dict(leader.named_parameters())
    buffers = dict(follower.named_buffers())
    with _whole(list(parameters.values())):
        theirs = [parameter.detach() for parameter in parameters.values()]
        own = [buffers[name] for name in parameters]
        torch._foreach_lerp_(own, theirs, 1.0 - momentum)


@contextmanager
def _whole(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Parameters that ZeRO-3 keeps in pieces are whole inside the block."""
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        yield
        return
    import deepspeed  # only where it is in use already: it is slow to import, and training is its place

    with deepspeed.zero.GatheredParameters(parameters):
        yield
