"""Everything that is chosen, from validation predictions alone.

Two choices are made after a sweep: the reference arm that the others must match, and, of an arm's final fits,
those whose weights are deployed. Both are functions of ``Standing``, which can only be made from
``ValidationPredictions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chex_jobs.evaluation.results.schema import ArmCost, ArmKey
from chex_jobs.evaluation.statistics.discrimination import auprc, auroc, mean_over_folds
from chex_jobs.evaluation.statistics.predictions import FitLogits, PredictionsError, ValidationPredictions

Metric = Literal["AUROC", "AUPRC"]
Deploy = Literal["Ensemble", "BestFit"]


class CouldNotChoose(Exception):
    """No task has both classes among the validation units, so no arm has a validation score."""


@dataclass(frozen=True)
class FitStanding:
    """One draw and seed of an arm on validation (all folds, each ranked by itself)."""

    draw: int
    seed: int
    score: float | None
    """Mean of the metric over tasks that have both classes; ``None`` when none has."""
    aurocs: tuple[float | None, ...]
    """[T]."""


@dataclass(frozen=True)
class Standing:
    """An arm on validation. Made by ``standings``."""

    arm: ArmKey
    cost: ArmCost
    score: float | None
    """Mean over fits that have a score; ``None`` when none has."""
    fits: tuple[FitStanding, ...]


def price(cost: ArmCost) -> tuple[int, float]:
    """What ranks arms: labelled patients, which people have to read, then film passes, which machines do."""
    return cost.labelled_patients, cost.film_passes


def cost_order(arm: ArmKey, cost: ArmCost) -> tuple[tuple[int, float], ArmKey]:
    """Cheapest first; the name only settles ties the same way each time."""
    return price(cost), arm


def standings(
    validation: ValidationPredictions, costs: Mapping[ArmKey, ArmCost], metric: Metric
) -> tuple[Standing, ...]:
    """The standing of every arm in ``costs``, cheapest first.

    Raises TypeError for anything but validation predictions, PredictionsError when an arm has none.
    """
    if not isinstance(validation, ValidationPredictions):
        raise TypeError(
            "arms are chosen on validation predictions only; test predictions cannot be used here"
        )
    arms = sorted(costs, key=lambda arm: cost_order(arm, costs[arm]))
    return tuple(_standing(validation, arm, costs[arm], metric) for arm in arms)


def _standing(validation: ValidationPredictions, arm: ArmKey, cost: ArmCost, metric: Metric) -> Standing:
    groups: dict[tuple[int, int], list[FitLogits]] = {}
    for each in validation.of_arm(arm):
        groups.setdefault((each.fit.draw, each.fit.seed), []).append(each)
    if not groups:
        raise PredictionsError(f"{arm.label}: no validation predictions")
    fits = tuple(_fit_standing(validation, members, metric) for members in groups.values())
    scores = [each.score for each in fits if each.score is not None]
    return Standing(arm, cost, float(np.mean(scores)) if scores else None, fits)


def _fit_standing(validation: ValidationPredictions, members: list[FitLogits], metric: Metric) -> FitStanding:
    columns = range(len(validation.tasks))
    aurocs, auprcs = zip(*(_over_folds(validation, members, task) for task in columns), strict=True)
    defined = [value for value in (aurocs if metric == "AUROC" else auprcs) if value is not None]
    fit = members[0].fit
    return FitStanding(fit.draw, fit.seed, float(np.mean(defined)) if defined else None, aurocs)


def _over_folds(
    validation: ValidationPredictions, members: list[FitLogits], task: int
) -> tuple[float | None, float | None]:
    """AUROC and AUPRC of one task, each fold's units ranked by the fold's own model among themselves."""
    labels = [validation.units.labels[each.rows, task] for each in members]
    logits = [each.logits[:, task] for each in members]
    positives = [int((each == 1.0).sum()) for each in labels]
    pairs = [count * int((each == 0.0).sum()) for count, each in zip(positives, labels, strict=True)]
    return (
        mean_over_folds([auroc(*each).value for each in zip(logits, labels, strict=True)], pairs),
        mean_over_folds([auprc(*each).value for each in zip(logits, labels, strict=True)], positives),
    )


def choose_reference(of: tuple[Standing, ...]) -> ArmKey:
    """The arm with the best validation score among those with the most labels; the cheapest of equals.

    Arms with fewer labels also *validate* with fewer, so their scores are noisier and the best of many too
    good; they compete as cheaper arms on test instead. Raises ``CouldNotChoose`` without any score: the
    "best" of nothing is whatever comes first.
    """
    most = max(each.arm.label_fraction for each in of)
    scored = [(each.score, each) for each in of if each.arm.label_fraction == most and each.score is not None]
    if not scored:
        raise CouldNotChoose
    best = max(score for score, _ in scored)
    equals = [each for score, each in scored if score == best]
    return min(equals, key=lambda each: cost_order(each.arm, each.cost)).arm


def choose_deployed(standing: Standing, deploy: Deploy) -> tuple[tuple[int, int], ...]:
    """Draw and seed of the fits that are deployed: all seeds of the first draw, or the best of them on validation.

    Only fits of the first draw belong together, as fits of different draws were trained and validated on different
    patients. Of equals the first is taken.
    """
    first = min(each.draw for each in standing.fits)
    candidates = sorted((each for each in standing.fits if each.draw == first), key=lambda each: each.seed)
    if deploy == "Ensemble":
        return tuple((each.draw, each.seed) for each in candidates)
    best = max(candidates, key=lambda each: -1.0 if each.score is None else each.score)
    return ((best.draw, best.seed),)
