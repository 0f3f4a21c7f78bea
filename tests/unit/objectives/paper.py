"""The objectives as their papers write them: slow, in float64, one row and one cell at a time."""

import numpy as np


def info_nce_loss(
    anchors: np.ndarray,
    positives: np.ndarray,
    candidates: np.ndarray,
    scale: float,
    excluded: np.ndarray | None = None,
) -> float:
    """Mean of -log softmax of each row's positive.

    Args:
        anchors: `[M, D]`.
        positives: `[M, D]`.
        candidates: `[N, D]`, the negatives.
        scale: inverse temperature.
        excluded: bool `[M, N]`; candidates that are not negatives of the row.
    """
    losses = []
    for i, anchor in enumerate(anchors):
        positive = np.exp(scale * float(anchor @ positives[i]))
        total = positive
        for j, candidate in enumerate(candidates):
            if excluded is None or not excluded[i, j]:
                total += np.exp(scale * float(anchor @ candidate))
        losses.append(-np.log(positive / total))
    return float(np.mean(losses))


def clip_loss(images: np.ndarray, texts: np.ndarray, scale: float, groups: np.ndarray | None = None) -> float:
    """Two-way loss of CLIP's pseudo-code; reports of one group are not negatives of each other's films."""
    groups = np.arange(len(images)) if groups is None else groups
    excluded = groups[:, None] == groups[None, :]
    to_text = info_nce_loss(images, texts, texts, scale, excluded)
    to_image = info_nce_loss(texts, images, images, scale, excluded)
    return (to_text + to_image) / 2


def masked_cross_entropy(logits: np.ndarray, labels: np.ndarray, positive_weights: np.ndarray) -> float:
    """Mean over known cells, `[B, T]`; 0 when there are none."""
    total, known = 0.0, 0
    for logit_row, label_row in zip(logits, labels, strict=True):
        for logit, label, weight in zip(logit_row, label_row, positive_weights, strict=True):
            if np.isnan(label):
                continue
            probability = 1.0 / (1.0 + np.exp(-logit))
            total -= weight * label * np.log(probability) + (1.0 - label) * np.log(1.0 - probability)
            known += 1
    return total / known if known else 0.0
