"""The module that is deployed: the score of the deployed model, for one film at a time.

`evaluation.deployed_score` says what that score is, and that the mean over a unit's films comes after it.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from chex_api.encoder import ImageEncoder
from chex_jobs.adaptation.head import Classifier
from chex_jobs.evaluation.statistics.platt_scaling import Scaling
from chex_jobs.models import build_image_encoder


class Ensemble(nn.Module):
    """Films -> calibrated logits `[B, T]`: the mean over members of slope x logit + intercept."""

    slopes: Tensor
    """`[M, 1, T]`, float32. Not among the weights: `config.json` states them."""
    intercepts: Tensor
    """`[M, 1, T]`."""

    def __init__(self, members: list[Classifier], scalings: Sequence[Sequence[Scaling]]) -> None:
        """At least one member; all answer the same tasks in the same order. `scalings` by member and task."""
        super().__init__()
        self.members = nn.ModuleList(members)
        slopes = torch.tensor([[each.slope for each in of_member] for of_member in scalings])
        intercepts = torch.tensor([[each.intercept for each in of_member] for of_member in scalings])
        self.register_buffer("slopes", slopes[:, None], persistent=False)
        self.register_buffer("intercepts", intercepts[:, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, T]` of images uint8 `[B, 1, S, S]`; their sigmoid is the probability."""
        logits = torch.stack([member(images) for member in self.members])
        return (self.slopes * logits + self.intercepts).mean(0)


def empty_ensemble(architecture: str, size: int, scalings: Sequence[Sequence[Scaling]]) -> Ensemble:
    """An ensemble of that shape, in evaluation mode, whose weights are still to be loaded."""
    members = []
    for of_member in scalings:
        encoder = build_image_encoder(ImageEncoder(architecture=architecture, size=size), 0)
        members.append(Classifier(encoder, nn.Linear(encoder.num_features, len(of_member))))
    return cast(Ensemble, Ensemble(members, scalings).eval())
