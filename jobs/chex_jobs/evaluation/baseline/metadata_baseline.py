"""What can be predicted without looking at the film.

Bedside films are taken of the sicker patients: on one public hospital set the view alone predicts intensive
care with an AUROC of 0.83. An image model has to beat a logistic regression on view, sex, age and device,
fitted on the same training patients; the same statistics are computed for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.baseline.metadata_model import Columns, MetadataModel, fit_metadata_model
from chex_jobs.evaluation.results.schema import ArmKey
from chex_jobs.evaluation.statistics.aggregation import UnitMap
from chex_jobs.evaluation.statistics.discrimination import FloatArray
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    FitLogits,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)

IntArray = NDArray[np.int64]
BASELINE_ARM = ArmKey("metadata", "logistic-regression", 1.0)


@dataclass(frozen=True)
class FilmRoles:
    """The rows of films that train, validate and test, for one fold or the only split."""

    fold: int
    """-1 without grouped folds."""
    train: IntArray
    validate: IntArray
    test: IntArray


@dataclass(frozen=True)
class BaselinePredictions:
    """The baseline of one task, in the form of an arm with a single fit (for each fold)."""

    features: tuple[str, ...]
    validation: ValidationPredictions
    test: TestPredictions


def baseline_predictions(
    task: str,
    metadata: Columns,
    labels: FloatArray,
    units: UnitMap,
    roles: Sequence[FilmRoles],
    validation_units: UnitTable,
    test_units: UnitTable,
) -> BaselinePredictions | str:
    """Fits the baseline of one task on each fold's training films and predicts the fold's other units.

    Args:
        task: name of the task.
        metadata: a value for each of F films and column.
        labels: [F] of the task.
        units: which unit each of the F films belongs to.
        roles: one for each fold.
        validation_units: units whose ordinals are those of the films that validate; labels of this task
        only, [n, 1].
        test_units: the same for test.

    Returns predictions of the arm ``BASELINE_ARM``, or the reason why there are none.
    """
    features: set[str] = set()
    validation_fits, test_fits = [], []
    for role in roles:
        model = fit_metadata_model(_rows(metadata, role.train), labels[role.train])
        if isinstance(model, str):
            return model
        features.update(model.features)
        fit = FitKey(BASELINE_ARM, 0, 0, role.fold)
        validation_fits.append(_predict(model, fit, metadata, units, role.validate, validation_units))
        test_fits.append(_predict(model, fit, metadata, units, role.test, test_units))
    return BaselinePredictions(
        tuple(sorted(features)),
        ValidationPredictions((task,), validation_units, tuple(validation_fits)),
        TestPredictions((task,), test_units, tuple(test_fits)),
    )


def _predict(
    model: MetadataModel, fit: FitKey, metadata: Columns, units: UnitMap, films: IntArray, table: UnitTable
) -> FitLogits:
    ordinals, unit_of_film = np.unique(units.ordinals[units.unit_of_film[films]], return_inverse=True)
    sums = np.bincount(unit_of_film, weights=model.logits(_rows(metadata, films)), minlength=len(ordinals))
    means = sums / np.bincount(unit_of_film, minlength=len(ordinals))
    present = np.isin(ordinals, table.ordinals)
    rows = np.searchsorted(table.ordinals, ordinals[present])
    return FitLogits(fit, rows.astype(np.int64), means[present, None])


def _rows(metadata: Columns, films: IntArray) -> Columns:
    return {name: [values[film] for film in films] for name, values in metadata.items()}
