"""AdamW over the parameters of an objective."""

from collections.abc import Mapping

import torch
from torch import nn

from chex_api.pretraining import AdamW

NO_FACTORS: Mapping[str, float] = {}
FACTOR = "learning_rate_factor"
"""Of a parameter group: its learning rate relative to that of the schedule."""


def build_optimizer(
    module: nn.Module, spec: AdamW, learning_rate_factors: Mapping[str, float] = NO_FACTORS
) -> torch.optim.Optimizer:
    """AdamW in groups: matrices and filters are decayed; norms, biases and other 1-d parameters are not.

    Only parameters that require a gradient take part. The learning rate is set in every step by the loop
    (`set_learning_rate`).

    Args:
        module: what is trained.
        spec: the optimizer of the manifest.
        learning_rate_factors: by name of a child of `module`, how its learning rate relates to that of the others.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            factor = learning_rate_factors.get(name.split(".")[0], 1.0)
            groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[key], "weight_decay": spec.weight_decay if key[1] else 0.0, FACTOR: key[0]}
            for key in sorted(groups, key=lambda key: (key[0] != 1.0, key[0], not key[1]))
        ],
        lr=0.0,
        betas=(spec.beta1, spec.beta2),
        eps=spec.epsilon,
        fused=True,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group the rate of the step, times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get(FACTOR, 1.0)
