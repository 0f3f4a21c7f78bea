"""From what models say of films to predictions of units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    FitLogits,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData
from chex_jobs.evaluation.test_access.final_models import FilmLogits, FinalModel


def unit_logits(fit: FitKey, data: EvaluationData, table: UnitTable, said: FilmLogits) -> FitLogits:
    """Mean logits of the units in ``table`` of which any film was predicted."""
    unit_of_film = data.units.ordinals[data.units.unit_of_film[said.films]]
    kept = np.isin(unit_of_film, table.ordinals)
    rows, place = np.unique(np.searchsorted(table.ordinals, unit_of_film[kept]), return_inverse=True)
    sums = np.zeros((len(rows), said.logits.shape[1]))
    np.add.at(sums, place, said.logits[kept].astype(np.float64))
    return FitLogits(fit, rows.astype(np.int64), sums / np.bincount(place, minlength=len(rows))[:, None])


def predictions_on_validation(data: EvaluationData, models: Sequence[FinalModel]) -> ValidationPredictions:
    """What the final fits said of the validation units of their own draws."""
    table = data.validation_units
    fits = [unit_logits(fit, data, table, model.validation) for model in models for fit in model.fits]
    return ValidationPredictions(data.tasks, table, tuple(fits))


def predictions_on_test(
    data: EvaluationData, models: Sequence[FinalModel], said: Mapping[str, FilmLogits]
) -> TestPredictions:
    """What models said of test units; ``said`` by the model's identity."""
    table = data.test_units
    fits = [unit_logits(fit, data, table, said[model.identity]) for model in models for fit in model.fits]
    return TestPredictions(data.tasks, table, tuple(fits))
