"""Simulated films of patients: films of one patient are alike, and the sick are filmed more often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm


@dataclass(frozen=True)
class Films:
    """One simulated test set."""

    scores: np.ndarray
    """[K, n]"""
    labels: np.ndarray
    """[n]"""
    patients: np.ndarray
    """[n]"""


def simulate(
    rng: np.random.Generator,
    *,
    num_positive: int,
    num_negative: int,
    films_of_positive: float = 6.8,
    films_of_negative: float = 1.3,
    separation: float = 1.5,
    within_patient: float = 0.7,
    num_scorers: int = 1,
    between_scorers: float = 0.6,
) -> Films:
    """Scores = class + patient + film, each normal; the patient's share of the variance is ``within_patient``.

    Film counts are geometric with the means given, which are those of a public hospital set: a few patients
    are filmed very often. Scorers share ``between_scorers`` of their patient and film effects.
    """
    labels_of_patients = np.repeat([1.0, 0.0], [num_positive, num_negative])
    means = np.where(labels_of_patients == 1, films_of_positive, films_of_negative)
    counts = rng.geometric(1 / means)
    patients = np.repeat(np.arange(len(counts)), counts)
    labels = labels_of_patients[patients]

    def effects(size: int) -> np.ndarray:
        common, own = rng.standard_normal(size), rng.standard_normal((num_scorers, size))
        return np.sqrt(between_scorers) * common + np.sqrt(1 - between_scorers) * own

    of_patient, of_film = effects(len(counts))[:, patients], effects(len(patients))
    scores = (
        separation * labels + np.sqrt(within_patient) * of_patient + np.sqrt(1 - within_patient) * of_film
    )
    return Films(scores, labels, patients)


def true_auroc(separation: float = 1.5) -> float:
    """AUROC over a random positive and a random negative film of different patients."""
    return float(norm.cdf(separation / np.sqrt(2)))
