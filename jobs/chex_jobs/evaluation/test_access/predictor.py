"""The only code that reads test films.

It opens the ledger first, then makes the standard view of every film once, and lets every model look at it. Torch is
imported when called, so that the statistics stay free of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chex_jobs.artifacts.disk import reserve, temporary_folder
from chex_jobs.evaluation.statistics.predictions import IntArray
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData, Films
from chex_jobs.evaluation.test_access.final_models import FilmLogits, FinalModel
from chex_jobs.evaluation.test_access.ledger import TestLedger, Visit

if TYPE_CHECKING:
    from torch import nn

BATCH_SIZE = 64


@dataclass(frozen=True)
class Predictor:
    """How models are loaded and run."""

    load: Callable[[FinalModel], nn.Module]
    """The model of a final fit: images [B, 1, S, S] uint8 -> logits [B, T]."""
    size: int
    """S, the side of the standard view in pixels."""
    device: str
    """``cpu``, ``cuda`` or ``cuda:0``."""
    on_progress: Callable[[int, int], None]
    """Models done, models in all."""
    raise_if_stopped: Callable[[], None]
    """Called between models; raises to stop."""


def predict_test(
    data: EvaluationData,
    models: Sequence[FinalModel],
    predictor: Predictor,
    *,
    ledger: TestLedger,
    visit: Visit,
    now: datetime,
    own: bool,
) -> dict[str, FilmLogits]:
    """Opens the test films of a data set and lets models predict them.

    Args:
        data: the data set.
        models: whose predictions are wanted.
        predictor: how to run them.
        ledger: where the opening is recorded, before any film is read.
        visit: who opens it, and for what.
        now: time of the opening.
        own: whether it is the models' own hospital: then a fold's model predicts its own test fold only, as the other
            folds trained or chose it. Elsewhere every model predicts all.

    Returns the logits by the model's identity.
    """
    everything = data.test_films(-1)
    ledger.record(visit, len(everything), now)
    said: dict[str, FilmLogits] = {}
    with _standard_views(data.films, everything, predictor.size) as views:
        for done, model in enumerate(models):
            predictor.raise_if_stopped()
            predictor.on_progress(done, len(models))
            films = data.test_films(model.fold) if own else everything
            rows = np.searchsorted(everything, films)
            said[model.identity] = FilmLogits(
                films, _logits(predictor.load(model), views, rows, predictor.device)
            )
    predictor.on_progress(len(models), len(models))
    return said


@contextmanager
def _standard_views(films: Films, ordinals: IntArray, size: int) -> Iterator[NDArray[np.uint8]]:
    """The standard views of some films, uint8 [F, S, S], in a file that goes away: a big test set need not fit in memory."""
    from chex_jobs.data.loading.augmentation import standard_view

    with temporary_folder("chex-test-views-") as folder:
        shape, path = (len(ordinals), size, size), folder / "views.npy"
        views = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        reserve(path)
        for row, ordinal in enumerate(ordinals):
            views[row] = standard_view(films.film(int(ordinal)), size)
        yield views
        del views


def _logits(model: nn.Module, views: NDArray[np.uint8], rows: IntArray, device: str) -> NDArray[np.float64]:
    """[F, T] in evaluation mode and float32: the model says here what it says where it is deployed."""
    import torch

    model.to(device).eval()
    parts = []
    with torch.inference_mode(), torch.autocast(torch.device(device).type, enabled=False):
        for start in range(0, len(rows), BATCH_SIZE):
            batch = torch.from_numpy(views[rows[start : start + BATCH_SIZE]]).unsqueeze(1)
            parts.append(model(batch.to(device)).float().cpu().numpy())
    return np.concatenate(parts).astype(np.float64)
