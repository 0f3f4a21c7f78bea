"""Slow, literal versions of what the package computes fast: for parity only."""

from __future__ import annotations

import numpy as np


def auroc_by_pairs(scores, labels) -> float:
    """The U statistic, pair by pair."""
    positives, negatives = scores[labels == 1], scores[labels == 0]
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positives.tolist() for n in negatives.tolist()]
    return sum(wins) / len(wins)


def obuchowski_by_formula(first, second, labels, patients) -> float:
    """Covariance of two AUROCs, term by term as printed in Obuchowski (1997), equations for S10, S01 and S11."""

    def kernel(x, y):
        return 1.0 if x > y else 0.5 if x == y else 0.0

    def sums(scores):
        positives, negatives = scores[labels == 1], scores[labels == 0]
        area = auroc_by_pairs(scores, labels)
        ten, one = {}, {}
        for patient in np.unique(patients):
            own = patients == patient
            xs, ys = scores[own & (labels == 1)], scores[own & (labels == 0)]
            ten[patient] = sum(np.mean([kernel(x, y) for y in negatives]) for x in xs) - len(xs) * area
            one[patient] = sum(np.mean([kernel(x, y) for x in positives]) for y in ys) - len(ys) * area
        return ten, one

    everyone = np.unique(patients)
    m, n = int((labels == 1).sum()), int((labels == 0).sum())
    with_positive = len(np.unique(patients[labels == 1]))
    with_negative = len(np.unique(patients[labels == 0]))
    i = len(everyone)
    (ten_1, one_1), (ten_2, one_2) = sums(first), sums(second)
    s10 = with_positive / ((with_positive - 1) * m) * sum(ten_1[p] * ten_2[p] for p in everyone)
    s01 = with_negative / ((with_negative - 1) * n) * sum(one_1[p] * one_2[p] for p in everyone)
    s11 = i / (i - 1) * sum(ten_1[p] * one_2[p] for p in everyone)
    s11_swapped = i / (i - 1) * sum(ten_2[p] * one_1[p] for p in everyone)
    return s10 / m + s01 / n + (s11 + s11_swapped) / (m * n)


def delong_by_formula(first, second, labels) -> float:
    """Covariance of two AUROCs after DeLong et al. (1988), from sample covariances of the structural components."""

    def components(scores):
        positives, negatives = scores[labels == 1], scores[labels == 0]
        wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
        return wins.mean(axis=1), wins.mean(axis=0)

    (v10_1, v01_1), (v10_2, v01_2) = components(first), components(second)
    return float(np.cov(v10_1, v10_2)[0, 1] / len(v10_1) + np.cov(v01_1, v01_2)[0, 1] / len(v01_1))


def jackknife_variance(scores, labels, patients) -> float:
    """Variance of the AUROC by leaving out one patient at a time."""
    values = np.array(
        [
            auroc_by_pairs(scores[patients != patient], labels[patients != patient])
            for patient in np.unique(patients)
        ]
    )
    return float((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum())
