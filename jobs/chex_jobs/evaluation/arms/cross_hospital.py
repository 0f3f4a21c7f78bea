"""A hospital's models on another hospital's test set: what shift costs without adaptation."""

from __future__ import annotations

from collections.abc import Sequence

from chex_jobs.evaluation.arms.arm_statistics import TaskData
from chex_jobs.evaluation.arms.deployed_score import DeployedScore, Member
from chex_jobs.evaluation.arms.deployment import auroc_of_weights
from chex_jobs.evaluation.results.schema import (
    ArmKey,
    CrossHospitalCell,
    DeployedModel,
    DeployedPerformance,
    HospitalResults,
)
from chex_jobs.evaluation.statistics.platt_scaling import Scaling
from chex_jobs.evaluation.statistics.predictions import FitKey, TestPredictions


def cross_hospital_cells(
    results: HospitalResults, other: str, test: TestPredictions
) -> tuple[CrossHospitalCell, ...]:
    """One cell for each shown model and task in ``test``, whose tasks are some of the hospital's own.

    The model is the deployed one, all members together: none of them saw these patients. Raises PredictionsError when
    a member does not predict all units of the other test set.
    """
    advice = results.recommendation
    shown = (
        (advice.deploy, advice.deployed, advice.deployed_performance),
        (advice.enough, advice.enough_deployed, advice.enough_performance),
    )
    return tuple(
        cell
        for arm, members, at_home in shown
        if arm is not None
        for cell in _cells(results, other, test, score_of(arm, members), at_home)
    )


def score_of(arm: ArmKey, members: Sequence[DeployedModel]) -> DeployedScore:
    """The deployed model that the results describe."""
    num_tasks = len(members[0].scalings)
    return DeployedScore(
        arm,
        tuple(
            Member(
                FitKey(arm, each.draw, each.seed, each.fold),
                tuple(Scaling(scaling.slope, scaling.intercept) for scaling in each.scalings),
            )
            for each in members
        ),
        calibrated=(True,) * num_tasks,
        narrowing=(),
    )


def _cells(
    results: HospitalResults,
    other: str,
    test: TestPredictions,
    score: DeployedScore,
    at_home: Sequence[DeployedPerformance],
) -> list[CrossHospitalCell]:
    own = {each.task: each.auroc for each in at_home}
    order = [each.task for each in at_home]
    logits = score.whole(test, [order.index(task) for task in test.tasks])
    cells = []
    for column, task in enumerate(test.tasks):
        data = TaskData(task, column, test.units)
        found = auroc_of_weights(logits[data.known, column], data, results.confidence)
        cells.append(CrossHospitalCell(results.hospital, other, task, score.arm, found, own[task]))
    return cells
