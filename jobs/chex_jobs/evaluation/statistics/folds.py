"""Out-of-fold scores of a small hospital, each fold's on one scale.

With grouped folds each patient is tested once, by the model of the fold that held the patient out. AUROCs compare
units of one fold only (``discrimination.rank_within_folds``). Probabilities and thresholds do take all units
together, so the logits of each fold's model are scaled (slope and intercept) on that fold's *validation* patients.

What remains: fold models share training patients, so their errors are a little dependent, and no unbiased
estimate of that exists (Bengio and Grandvalet 2004). Intervals are conditional on the fitted models, as for a split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.results.schema import ArmKey
from chex_jobs.evaluation.statistics.discrimination import FloatArray
from chex_jobs.evaluation.statistics.platt_scaling import Scaling, fit_slope_and_intercept
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    FitLogits,
    PredictionsError,
    TestPredictions,
    ValidationPredictions,
)

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ArmScores:
    """Calibrated test logits of an arm: one row for each draw and seed, folds pooled."""

    arm: ArmKey
    draws: IntArray
    """[R]."""
    seeds: IntArray
    """[R]."""
    logits: FloatArray
    """[R, n, T]; every test unit has a score from every row."""


def scalings(validation: ValidationPredictions, fit: FitKey) -> tuple[Scaling, ...]:
    """The slope and intercept of each task's logits of one fit, from its validation labels.

    A model that stands alone is left as it is where a class is missing; a fold's gets what the penalties say, as its
    logits have to be comparable with those of the other folds.
    """
    if not isinstance(validation, ValidationPredictions):
        raise TypeError("scalings are fitted on validation predictions only")
    found = validation.by_fit.get(fit)
    if found is None:
        raise PredictionsError(f"{fit.arm.label} draw {fit.draw} seed {fit.seed}: no validation predictions")
    labels = validation.units.labels[found.rows]
    return tuple(
        fit_slope_and_intercept(found.logits[:, task], labels[:, task])
        if fit.fold >= 0 or has_both_classes(labels[:, task])
        else Scaling()
        for task in range(len(validation.tasks))
    )


def has_both_classes(labels: FloatArray) -> bool:
    """Whether labels [n], 1, 0 or NaN, hold a positive and a negative."""
    return bool((labels == 1.0).any() and (labels == 0.0).any())


def arm_scores(arm: ArmKey, validation: ValidationPredictions, test: TestPredictions) -> ArmScores:
    """Scales and pools all fits of one arm.

    Raises PredictionsError when the arm has no fits, or the fits of a draw and seed do not predict each
    unit once.
    """
    fits = test.of_arm(arm)
    if not fits:
        raise PredictionsError(f"{arm.label}: no test predictions")
    groups: dict[tuple[int, int], list[FitLogits]] = {}
    for each in fits:
        groups.setdefault((each.fit.draw, each.fit.seed), []).append(each)
    rows = [
        _pool(members, [scalings(validation, each.fit) for each in members], len(test.units.ordinals))
        for members in groups.values()
    ]
    draws, seeds = np.array(list(groups), dtype=np.int64).T
    return ArmScores(arm, draws, seeds, np.stack(rows))


def _pool(members: list[FitLogits], fitted: list[tuple[Scaling, ...]], num_units: int) -> FloatArray:
    covered = np.bincount(np.concatenate([each.rows for each in members]), minlength=num_units)
    if not (covered == 1).all():
        fit = members[0].fit
        raise PredictionsError(
            f"{fit.arm.label} draw {fit.draw} seed {fit.seed}: {int((covered == 0).sum())} test units have no "
            f"prediction and {int((covered > 1).sum())} have several; the folds' test units must part the set"
        )
    pooled = np.empty((num_units, members[0].logits.shape[1]))
    for each, scaling_of_task in zip(members, fitted, strict=True):
        for task, scaling in enumerate(scaling_of_task):
            pooled[each.rows, task] = scaling.apply(each.logits[:, task])
    return pooled
