"""What an objective is given: one rank's part of the global batch."""

from typing import NotRequired, TypedDict

import torch


class Batch(TypedDict):
    """Tensors of one step on one rank. B is the same on every rank, and rank r holds the r-th B rows of the global batch.

    Attributes:
        images: uint8 `[B, V, S, S]`, V views of each film.
        ordinals: int64 `[B]`, the films' numbers in their data set.
        input_ids, attention_mask: int64 `[B, L]`, the text shown with each film.
        text_group: int64 `[B]`; equal numbers, on whatever rank, mean that the texts say the same.
        labels: float32 `[B, T]`; 1 present, 0 absent, NaN unknown.
    """

    images: torch.Tensor
    ordinals: NotRequired[torch.Tensor]
    input_ids: NotRequired[torch.Tensor]
    attention_mask: NotRequired[torch.Tensor]
    text_group: NotRequired[torch.Tensor]
    labels: NotRequired[torch.Tensor]
