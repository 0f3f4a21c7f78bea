"""What an objective returns, and the scaling that makes W ranks equal one."""

from typing import NamedTuple

import torch

from chex_jobs.objectives.gather import mean_over_ranks


class Loss(NamedTuple):
    """Result of one forward pass.

    A named tuple, not a dataclass: DeepSpeed looks for tensors in tuples and dicts only when it hooks
    ZeRO-3's backward.

    Attributes:
        loss: scalar with gradient. Its value is that of the whole global batch, the same on every rank.
        metrics: scalars without gradient, over the global batch, the same on every rank.
    """

    loss: torch.Tensor
    metrics: dict[str, torch.Tensor]


def with_global_value(local: torch.Tensor) -> torch.Tensor:
    """The global loss as a value, this rank's part of it as a gradient.

    The parts are scaled so that their *mean* over ranks is the global loss. Ranks then average gradients,
    which gives the gradient of that mean; a value that is equal everywhere lets every rank judge a NaN or a
    stop alike.

    Args:
        local: scalar, this rank's part.
    """
    detached = local.detach()
    return local + (mean_over_ranks(detached) - detached)
