"""A logistic regression on metadata: view, sex, age, device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from chex_jobs.evaluation.statistics.discrimination import FloatArray
from chex_jobs.evaluation.statistics.metadata_columns import is_number_column, levels_of, numbers_of

OTHER = "other"
MIN_FILMS_OF_LEVEL = 5
"""A rarer level is ``other``: a coefficient from two films is noise."""
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
        numbers = numbers_of(values)
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
        numbers = numbers_of(values)
        present = numbers[~np.isnan(numbers)]
        return NumberColumn(name, float(present.mean()), float(present.std()))
    names, counts = np.unique(levels_of(values), return_counts=True)
    common = [str(level) for level, count in zip(names, counts, strict=True) if count >= MIN_FILMS_OF_LEVEL]
    levels = tuple(sorted({*common, OTHER} if len(common) < len(names) else common))
    return LevelColumn(name, levels) if len(levels) > 1 else None


def _design(columns: Sequence[NumberColumn | LevelColumn], metadata: Columns) -> FloatArray:
    return np.concatenate([each.encode(metadata[each.name]) for each in columns], axis=1)
