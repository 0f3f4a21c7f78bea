"""A hospital's models on another hospital's test set: what shift costs without adaptation."""

from __future__ import annotations

import numpy as np

from chex_jobs.evaluation.arm_statistics import TaskData, arm_task
from chex_jobs.evaluation.discrimination import FloatArray
from chex_jobs.evaluation.folds import ArmScores, scalings
from chex_jobs.evaluation.predictions import (
    FitLogits,
    PredictionsError,
    TestPredictions,
    ValidationPredictions,
)
from chex_jobs.evaluation.results import ArmKey, CrossHospitalCell, Estimate, HospitalResults
from chex_jobs.evaluation.scaling import Scaling


def cross_hospital_cells(
    results: HospitalResults, other: str, validation: ValidationPredictions, test: TestPredictions
) -> tuple[CrossHospitalCell, ...]:
    """One cell for each arm and task in ``test``, whose tasks are some of the hospital's own.

    Raises PredictionsError when an arm does not predict all units of the other test set.
    """
    cells = []
    for arm in dict.fromkeys(each.fit.arm for each in test.fits):
        scores = ensemble_scores(arm, validation, test)
        own = next(each for each in results.arms if each.arm == arm)
        for column, task in enumerate(test.tasks):
            data = TaskData(task, column, test.units, 0)
            found = arm_task(data, scores, [None] * len(scores.draws), results.confidence).printed.auroc
            at_home: Estimate = next(each.auroc for each in own.tasks if each.task == task)
            cells.append(CrossHospitalCell(results.hospital, other, task, arm, found, at_home))
    return tuple(cells)


def ensemble_scores(arm: ArmKey, validation: ValidationPredictions, test: TestPredictions) -> ArmScores:
    """Scaled logits on all units, averaged over fold models: here none of them saw the patients."""
    groups: dict[tuple[int, int], list[FitLogits]] = {}
    for each in test.of_arm(arm):
        if len(each.rows) != len(test.units.ordinals):
            raise PredictionsError(
                f"{arm.label}: predicts {len(each.rows)} of {len(test.units.ordinals)} units elsewhere"
            )
        groups.setdefault((each.fit.draw, each.fit.seed), []).append(each)
    columns = [validation.tasks.index(task) for task in test.tasks]
    rows = [
        np.mean([_scaled(each, validation, columns) for each in members], axis=0)
        for members in groups.values()
    ]
    draws, seeds = np.array(list(groups), dtype=np.int64).T
    nothing = tuple((None,) * len(columns) for _ in rows)
    return ArmScores(arm, draws, seeds, np.stack(rows), nothing)


def _scaled(each: FitLogits, validation: ValidationPredictions, columns: list[int]) -> FloatArray:
    fitted = scalings(validation, each.fit)
    logits = np.empty((len(each.rows), len(columns)))
    for place, column in enumerate(columns):
        logits[each.rows, place] = (fitted[column] or Scaling()).apply(each.logits[:, place])
    return logits
