"""Predictions as the statistics read them, with validation and test as different types.

What is chosen (the reference arm, the deployed fit, temperatures, thresholds) takes
``ValidationPredictions``; a ``TestPredictions`` there is a type error for the checker and a ``TypeError`` at
run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.results.schema import ArmKey
from chex_jobs.evaluation.statistics.discrimination import FloatArray

IntArray = NDArray[np.int64]


class PredictionsError(ValueError):
    """Predictions are incomplete or contradict each other. The message names the arm and the fit."""


@dataclass(frozen=True)
class UnitTable:
    """The scored units of one set."""

    ordinals: IntArray
    """[n] ascending."""
    patients: IntArray
    """[n]."""
    labels: FloatArray
    """[n, T]: 1, 0, NaN unknown."""

    def dense_patients(self) -> tuple[IntArray, int]:
        """Patients renumbered 0..P-1 [n], and P."""
        numbers, dense = np.unique(self.patients, return_inverse=True)
        return dense.astype(np.int64), len(numbers)


@dataclass(frozen=True, order=True)
class FitKey:
    """One final fit of an arm."""

    arm: ArmKey
    draw: int
    seed: int
    fold: int
    """-1 without grouped folds."""


@dataclass(frozen=True)
class FitLogits:
    """What one final fit says about the units it was asked about."""

    fit: FitKey
    rows: IntArray
    """[m] positions in the ``UnitTable``."""
    logits: FloatArray
    """[m, T]."""


@dataclass(frozen=True)
class _Predictions:
    tasks: tuple[str, ...]
    units: UnitTable
    fits: tuple[FitLogits, ...]

    def __post_init__(self) -> None:
        keys = [each.fit for each in self.fits]
        if len(set(keys)) != len(keys):
            raise PredictionsError("a final fit has two sets of predictions; each fit predicts a set once")
        for each in self.fits:
            if each.logits.shape != (len(each.rows), len(self.tasks)):
                raise PredictionsError(
                    f"{each.fit.arm.label} draw {each.fit.draw} seed {each.fit.seed}: logits have shape "
                    f"{each.logits.shape}, expected ({len(each.rows)}, {len(self.tasks)})"
                )
            if not np.isfinite(each.logits).all():
                raise PredictionsError(
                    f"{each.fit.arm.label} draw {each.fit.draw} seed {each.fit.seed}: logits are not finite"
                )

    @cached_property
    def by_fit(self) -> Mapping[FitKey, FitLogits]:
        """Predictions of each fit."""
        return {each.fit: each for each in self.fits}

    @cached_property
    def _by_arm(self) -> Mapping[ArmKey, tuple[FitLogits, ...]]:
        arms: dict[ArmKey, list[FitLogits]] = {}
        for each in sorted(self.fits, key=lambda each: each.fit):
            arms.setdefault(each.fit.arm, []).append(each)
        return {arm: tuple(fits) for arm, fits in arms.items()}

    def of_arm(self, arm: ArmKey) -> tuple[FitLogits, ...]:
        """The arm's fits in order of draw, seed and fold."""
        return self._by_arm.get(arm, ())


@dataclass(frozen=True)
class ValidationPredictions(_Predictions):
    """Final fits on the validation labels they were chosen with: at a label fraction, of that draw only."""


@dataclass(frozen=True)
class TestPredictions(_Predictions):
    """Final fits on test units: all of them, or with grouped folds those of the fit's own test fold."""

    __test__ = False  # not a test class, whatever its name looks like to pytest

    @cached_property
    def folds_of_units(self) -> IntArray | None:
        """[n] the fold in which each unit is tested; ``None`` when fits test all units.

        Raises PredictionsError when two fits test a unit in different folds.
        """
        if all(each.fit.fold < 0 for each in self.fits):
            return None
        folds = np.full(len(self.units.ordinals), -1, dtype=np.int64)
        for each in self.fits:
            if np.any((folds[each.rows] >= 0) & (folds[each.rows] != each.fit.fold)):
                raise PredictionsError(
                    f"{each.fit.arm.label} draw {each.fit.draw} seed {each.fit.seed}: units are tested in "
                    f"fold {each.fit.fold} here and in another fold by another fit"
                )
            folds[each.rows] = each.fit.fold
        return folds
