"""What can be predicted without looking at the film.

Bedside films are taken of the sicker patients: on one public hospital set the view alone predicts intensive
care with an AUROC of 0.83. An image model has to beat a logistic regression on view, sex, age and device,
fitted on the same training patients; the same statistics are computed for both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from chex_jobs.evaluation.aggregation import UnitMap
from chex_jobs.evaluation.discrimination import FloatArray
from chex_jobs.evaluation.predictions import (
    FitKey,
    FitLogits,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)
from chex_jobs.evaluation.results import ArmKey

IntArray = NDArray[np.int64]
BASELINE_ARM = ArmKey("metadata", "logistic-regression", 1.0)
MISSING = "missing"
OTHER = "other"
MIN_FILMS_OF_LEVEL = 5
"""A rarer level is ``other``: a coefficient from two films is noise."""
MOST_LEVELS_OF_NUMBERS = 10
"""Numbers with no more different values than this are codes, and so levels."""
INVERSE_PENALTY = 1.0
"""L2, on standardised columns. Fixed: nothing about the baseline is tuned."""

Columns = Mapping[str, Sequence[object]]
"""Column name -> a value for each film; ``None``, NaN and blank text are missing."""


@dataclass(frozen=True)
class NumberColumn:
    """A standardised number with an indicator for missing; a cell that is no number is missing too."""

    name: str
    mean: float
    deviation: float

    def encode(self, values: Sequence[object]) -> FloatArray:
        """[F, 2] standardised value (0 where missing) and indicator."""
        numbers = _numbers(values)
        missing = np.isnan(numbers)
        standardised = np.where(missing, 0.0, (numbers - self.mean) / self.deviation)
        return np.stack([standardised, missing.astype(np.float64)], axis=1)


@dataclass(frozen=True)
class LevelColumn:
    """An indicator for each level; levels that training did not have count as ``other``."""

    name: str
    levels: tuple[str, ...]

    def encode(self, values: Sequence[object]) -> FloatArray:
        """[F, L] indicators."""
        known = set(self.levels)
        names = [level if level in known else OTHER for level in levels_of(values)]
        return np.array([[name == level for level in self.levels] for name in names], dtype=np.float64)


@dataclass(frozen=True)
class MetadataModel:
    """A fitted baseline for one task."""

    columns: tuple[NumberColumn | LevelColumn, ...]
    coefficients: FloatArray
    intercept: float

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns used."""
        return tuple(each.name for each in self.columns)

    def logits(self, metadata: Columns) -> FloatArray:
        """[F] logits of films."""
        return _design(self.columns, metadata) @ self.coefficients + self.intercept


def fit_metadata_model(metadata: Columns, labels: FloatArray) -> MetadataModel | str:
    """Fits on training films.

    Args:
        metadata: a value for each of F films and column.
        labels: [F], 1, 0 or NaN.

    Returns the model, or the reason why there is none.
    """
    known = ~np.isnan(labels)
    if len(np.unique(labels[known])) < 2:
        return "The training labels have one class only."
    training = {
        name: [value for value, keep in zip(values, known, strict=True) if keep]
        for name, values in metadata.items()
    }
    columns = tuple(
        each for each in (_fit_column(*item) for item in sorted(training.items())) if each is not None
    )
    if not columns:
        return "The data set has no metadata column with more than one value."
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000, tol=1e-8)
    model.fit(_design(columns, training), labels[known])
    coefficients, intercept = np.asarray(model.coef_, np.float64)[0], np.asarray(model.intercept_, np.float64)
    return MetadataModel(columns, coefficients, float(intercept[0]))


def _fit_column(name: str, values: Sequence[object]) -> NumberColumn | LevelColumn | None:
    """How a column is encoded; ``None`` when it is constant, and so says nothing."""
    if is_number_column(values):
        numbers = _numbers(values)
        present = numbers[~np.isnan(numbers)]
        return NumberColumn(name, float(present.mean()), float(present.std()))
    names, counts = np.unique(levels_of(values), return_counts=True)
    common = [str(level) for level, count in zip(names, counts, strict=True) if count >= MIN_FILMS_OF_LEVEL]
    levels = tuple(sorted({*common, OTHER} if len(common) < len(names) else common))
    return LevelColumn(name, levels) if len(levels) > 1 else None


def is_number_column(values: Sequence[object]) -> bool:
    """Whether every value that is present reads as a number and more than ten differ, as for an age in years."""
    present = {_number(value) for value in values if not _is_missing(value)}
    return len(present) > MOST_LEVELS_OF_NUMBERS and not any(map(math.isnan, present))


def levels_of(values: Sequence[object]) -> NDArray[np.str_]:
    """Lower-case text; blanks are a level of their own, as it matters that a field was not filled in."""
    return np.array(
        [MISSING if _is_missing(value) else str(value).strip().lower() for value in values], dtype=str
    )


def _design(columns: Sequence[NumberColumn | LevelColumn], metadata: Columns) -> FloatArray:
    return np.concatenate([each.encode(metadata[each.name]) for each in columns], axis=1)


def _numbers(values: Sequence[object]) -> FloatArray:
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: object) -> float:
    """A finite number; NaN for anything else, such as a slip of the pen that only the test films hold."""
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) and "_" not in text else math.nan


def _is_missing(value: object) -> bool:
    return (
        value is None
        or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))
        or str(value).strip() == ""
    )


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
