"""What an objective is given: one rank's part of the global batch."""

from collections.abc import Mapping

import torch

Batch = Mapping[str, torch.Tensor]
"""Tensors of one step on one rank: of W equal slices of the global batch, rank r holds the r-th.

images: uint8 `[B, V, S, S]`, V views of each film.
ordinals: int64 `[B]`, the films' numbers in their data set.
input_ids, attention_mask: int64 `[B, L]`, the text shown with each film.
text_group: int64 `[B]`; equal numbers, on whatever rank, mean that the texts say the same.
study_text_groups: int64 `[B, G]`; groups of all texts of the film's study, the one shown included, -1 for none.
labels: float32 `[B, T]`; 1 present, 0 absent, NaN unknown.
"""
