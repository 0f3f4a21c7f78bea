"""InfoNCE (arXiv 1807.03748, 2018): the softmax cross-entropy of a positive among negatives."""

from typing import NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

# Logits held at once, about 64 MiB of float32. At a global batch of 32,768 a rank of 8 would hold 512 MiB
# otherwise, and its gradient as much again.
MAX_LOGITS = 1 << 24


class Contrast(NamedTuple):
    """Outcome of one comparison.

    Attributes:
        loss: scalar, mean cross-entropy of the rows.
        top1: scalar without gradient, share of rows whose positive is more similar than every negative.
    """

    loss: torch.Tensor
    top1: torch.Tensor


def info_nce(
    anchors: torch.Tensor,
    positives: torch.Tensor,
    candidates: torch.Tensor,
    scale: torch.Tensor | float,
    *,
    anchor_groups: torch.Tensor | None = None,
    candidate_groups: torch.Tensor | None = None,
    max_logits: int = MAX_LOGITS,
) -> Contrast:
    """Mean over rows i of -log(e^(s a_i.p_i) / (e^(s a_i.p_i) + sum over negatives j of e^(s a_i.c_j))).

    The negatives of row i are all candidates, or with groups those that share no group with row i. A row
    without negatives has loss 0. More than `max_logits` logits are computed in blocks of rows, each again in
    the backward pass: exact, at a third more matrix products.

    Args:
        anchors: `[M, D]` float32, rows of length 1.
        positives: `[M, D]`, the i-th belongs to the i-th anchor.
        candidates: `[N, D]`.
        scale: s, the inverse temperature; a scalar or `[1]`.
        anchor_groups: int64 `[M]`, or `[M, G]` for rows of several groups; -1 stands for no group.
        candidate_groups: int64 `[N]` or `[N, G]`, and -1 on one of the two sides at most. A positive among the
            candidates must share a group of its anchor, or it counts twice.
        max_logits: logits that are held at once, at least one row of them.
    """
    num_rows = anchors.shape[0]
    block = max(1, max_logits // max(1, candidates.shape[0]))
    # The scale is multiplied in once, so that one product carries its gradient.
    scaled = anchors * scale
    if block >= num_rows:
        loss, hits = _block(scaled, positives, candidates, anchor_groups, candidate_groups)
        return Contrast(loss / num_rows, hits / num_rows)
    losses, all_hits = [], []
    for start in range(0, num_rows, block):
        rows = slice(start, start + block)
        groups = None if anchor_groups is None else anchor_groups[rows]
        loss, hits = checkpoint(
            _block, scaled[rows], positives[rows], candidates, groups, candidate_groups,
            use_reentrant=False, preserve_rng_state=False,
        )  # fmt: skip
        losses.append(loss)
        all_hits.append(hits)
    return Contrast(torch.stack(losses).sum() / num_rows, torch.stack(all_hits).sum() / num_rows)


def _block(
    scaled: torch.Tensor,
    positives: torch.Tensor,
    candidates: torch.Tensor,
    anchor_groups: torch.Tensor | None,
    candidate_groups: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of the rows' losses, and number of rows whose positive beats every negative."""
    positive = (scaled * positives).sum(dim=1, keepdim=True)  # [M, 1]
    negative = scaled @ candidates.T  # [M, N]
    if anchor_groups is not None and candidate_groups is not None:
        negative = negative.masked_fill(_share_a_group(anchor_groups, candidate_groups), float("-inf"))
    # The positive stands in front: a row without any negative still has a finite softmax and gradient.
    logits = torch.cat([positive, negative], dim=1)
    loss = (torch.logsumexp(logits, dim=1) - positive[:, 0]).sum()
    with torch.no_grad():
        hits = (positive[:, 0] > negative.amax(dim=1)).sum()
    return loss, hits


def _share_a_group(anchor_groups: torch.Tensor, candidate_groups: torch.Tensor) -> torch.Tensor:
    """Bool `[M, N]`. Group by group, so that no more than the logits' own size is held."""
    of_anchors = anchor_groups.reshape(len(anchor_groups), -1, 1)  # [M, G, 1]
    of_candidates = candidate_groups.reshape(len(candidate_groups), -1)  # [N, H]
    shared = of_anchors[:, 0] == of_candidates[:, 0]
    for i in range(of_anchors.shape[1]):
        for j in range(of_candidates.shape[1]):
            shared |= of_anchors[:, i] == of_candidates[:, j]
    return shared
