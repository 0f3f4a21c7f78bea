"""The final fits that an adaptation hands over: which model answers for which arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.statistics.discrimination import FloatArray
from chex_jobs.evaluation.statistics.predictions import FitKey

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class FilmLogits:
    """What a model says of some films."""

    films: IntArray
    """[F] ordinals in the data set."""
    logits: FloatArray
    """[F, T]."""


@dataclass(frozen=True)
class FinalModel:
    """One stored model and the fits it stands for.

    The seeds of a linear probe share one, as no seed enters it; so do arms that differ by name only.
    """

    identity: str
    """Of its object in the artifact store, 64 hex digits."""
    fits: tuple[FitKey, ...]
    """All of one fold."""
    validation: FilmLogits
    """On the validation films of its own draw, as the adaptation left them."""

    @property
    def fold(self) -> int:
        """-1 without grouped folds."""
        return self.fits[0].fold


def objects_of(models: Sequence[FinalModel]) -> dict[FitKey, str]:
    """Identity of the model of every fit."""
    return {fit: model.identity for model in models for fit in model.fits}
