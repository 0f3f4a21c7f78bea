"""Projection heads: from an encoder's features to the space where an objective compares."""

import torch
from torch import nn

from chex_jobs.models.seeding import isolated_random


def linear_projection(num_features: int, dim: int, *, seed: int, purpose: str) -> nn.Linear:
    """One linear map without bias, as CLIP (arXiv 2103.00020) projects both towers."""
    with isolated_random(seed, purpose):
        return nn.Linear(num_features, dim, bias=False)


def mlp_projection(num_features: int, dim: int, *, seed: int, purpose: str) -> nn.Sequential:
    """Linear, ReLU, linear, the hidden layer as wide as the features: MoCo v2's head (arXiv 2003.04297).

    It has no BatchNorm, so it adds no way for the films of a batch to know of each other.
    """
    with isolated_random(seed, purpose):
        return nn.Sequential(nn.Linear(num_features, num_features), nn.ReLU(), nn.Linear(num_features, dim))


def full_precision(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 where autocast made it less; similarities in bfloat16 have two or three digits."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def l2_normalize(vectors: torch.Tensor) -> torch.Tensor:
    """Rows scaled to length 1, in full precision: `[B, D]` -> `[B, D]`."""
    return nn.functional.normalize(full_precision(vectors), dim=1)
