"""AdamW over the parameters of an objective."""

import torch
from torch import nn

from chex_api.pretraining import AdamW


def build_optimizer(module: nn.Module, spec: AdamW) -> torch.optim.Optimizer:
    """AdamW in two groups: matrices and filters are decayed; norms, biases and other 1-d parameters are not.

    Only parameters that require a gradient take part. The learning rate is set in every step by the loop.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {
            "params": [parameter for parameter in trained if parameter.ndim > 1],
            "weight_decay": spec.weight_decay,
        },
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=0.0,
        betas=(spec.beta1, spec.beta2),
        eps=spec.epsilon,
        fused=True,
    )
