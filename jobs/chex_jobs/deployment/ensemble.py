"""The module that is deployed: the mean of its members' logits."""

from typing import cast

import torch
from torch import Tensor, nn

from chex_api.encoder import ImageEncoder
from chex_jobs.adaptation.head import Classifier
from chex_jobs.models import build_image_encoder


class Ensemble(nn.Module):
    """Films -> logits `[B, T]`, averaged over the members (one, or one for each grouped fold)."""

    def __init__(self, members: list[Classifier]) -> None:
        """At least one member; all answer the same tasks in the same order."""
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """Mean logits `[B, T]` of images uint8 `[B, 1, S, S]`."""
        return torch.stack([member(images) for member in self.members]).mean(0)


def empty_ensemble(architecture: str, size: int, num_tasks: int, num_members: int) -> Ensemble:
    """An ensemble of that shape, in evaluation mode, whose weights are still to be loaded."""
    members = []
    for _ in range(num_members):
        encoder = build_image_encoder(ImageEncoder(architecture=architecture, size=size), 0)
        members.append(Classifier(encoder, nn.Linear(encoder.num_features, num_tasks)))
    return cast(Ensemble, Ensemble(members).eval())
