"""The score of the deployed model: what it says of a unit, and what it would have said of patients it never saw.

There is one score, wherever a deployed model speaks (evaluation, thresholds, calibration, other hospitals, ONNX,
golden outputs, ``chex predict``):

    logit of a unit = mean over its films of: mean over members of (slope x member's logit + intercept)

and its sigmoid is the probability. Both means and the scaling are linear, so their order does not matter, and members
may be given unit by unit. ``deployed_logits`` is that function; ``deployment.ensemble`` is the same as a module, which
tests compare.

Members are scaled one by one on their own validation units, and once more together: the mean of calibrated members is
itself not calibrated, as errors that they do not share cancel out.

With grouped folds all members together have no untouched patients: each unit is predicted by the members of the one
fold that held it out. Their mean has more noise than the mean over all members has on a new patient, so thresholds
taken from it would miss the wanted specificity. What cancels out is measured: every unit is predicted by members of
two folds that were not trained on it (the one that validates on it, the one that tests on it), and how far these
disagree, which needs no label, says how much narrower each class is under the whole model (``Narrowing``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chex_jobs.evaluation.results.schema import ArmKey, DeployedModel, TaskScaling
from chex_jobs.evaluation.statistics.discrimination import FloatArray
from chex_jobs.evaluation.statistics.folds import has_both_classes, scalings
from chex_jobs.evaluation.statistics.platt_scaling import Scaling, fit_slope_and_intercept
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    FitLogits,
    IntArray,
    PredictionsError,
    TestPredictions,
    ValidationPredictions,
)


def deployed_logits(members: Sequence[FloatArray], scaling: Sequence[Sequence[Scaling]]) -> FloatArray:
    """The deployed model's logits [n, T] from those of its members, each [n, T], and their scalings [M][T]."""
    slopes = np.array([[each.slope for each in of_member] for of_member in scaling])
    intercepts = np.array([[each.intercept for each in of_member] for of_member in scaling])
    return (np.stack(members) * slopes[:, None] + intercepts[:, None]).mean(axis=0)


@dataclass(frozen=True)
class Member:
    """One final fit in a deployed model."""

    fit: FitKey
    scalings: tuple[Scaling, ...]
    """[T]."""


@dataclass(frozen=True)
class Scored:
    """What a deployed model says of units that its members were not trained on."""

    rows: IntArray
    """[m] positions in the unit table, ascending."""
    logits: FloatArray
    """[m, T]."""


@dataclass(frozen=True)
class Narrowing:
    """How much narrower a class is under the mean over all folds than under the members of one fold, for one task."""

    disagreement: float = 0.0
    """Variance of what two folds do not share in what they say of a unit."""
    num_folds: int = 1

    def apply(self, logits: FloatArray, labels: FloatArray) -> FloatArray:
        """Logits [n] drawn towards the mean of their class (labels 1, 0 or NaN); unlabelled units stay as they are."""
        result = logits.copy()
        for label in (0.0, 1.0):
            of_class = labels == label
            if not of_class.any():
                continue
            centre = logits[of_class].mean()
            result[of_class] = centre + self._factor(logits[of_class]) * (logits[of_class] - centre)
        return result

    def _factor(self, logits: FloatArray) -> float:
        variance = float(logits.var())
        if variance == 0.0:
            return 1.0
        cancelled = self.disagreement * (1.0 - 1.0 / self.num_folds) / variance
        return float(np.sqrt(max(1.0 - cancelled, 1.0 / self.num_folds)))


@dataclass(frozen=True)
class DeployedScore:
    """A deployed model as its members and how they are scaled. Made by ``deployed_score``."""

    arm: ArmKey
    members: tuple[Member, ...]
    calibrated: tuple[bool, ...]
    """[T] whether validation had both classes."""
    narrowing: tuple[Narrowing, ...]
    """[T]."""

    def unseen(self, predictions: ValidationPredictions | TestPredictions) -> Scored:
        """Of each unit: the members that predicted it, which with grouped folds are those of one fold.

        Raises PredictionsError when a member predicted nothing.
        """
        parts = [self._together(predictions, members) for members in self._by_fold().values()]
        rows = np.concatenate([each.rows for each in parts])
        order = np.argsort(rows, kind="stable")
        return Scored(rows[order], np.concatenate([each.logits for each in parts])[order])

    def whole(self, predictions: TestPredictions, tasks: Sequence[int]) -> FloatArray:
        """All members together on patients that none of them saw [n, T'], for the tasks that ``predictions`` has.

        ``tasks``: positions of these tasks among the model's. Raises PredictionsError when a member left out a unit.
        """
        said = [_said(predictions, member) for member in self.members]
        for each in said:
            if len(each.rows) != len(predictions.units.ordinals):
                raise PredictionsError(
                    f"{self.arm.label}: predicts {len(each.rows)} of {len(predictions.units.ordinals)} units elsewhere"
                )
        chosen = [[member.scalings[task] for task in tasks] for member in self.members]
        return deployed_logits([each.logits[np.argsort(each.rows)] for each in said], chosen)

    def described(self, objects: Mapping[FitKey, str], tasks: Sequence[str]) -> tuple[DeployedModel, ...]:
        """The members for the results; ``objects`` holds the identity of each one's weights."""
        return tuple(
            DeployedModel(
                objects[fit],
                fit.draw,
                fit.seed,
                fit.fold,
                tuple(
                    TaskScaling(task, each.slope, each.intercept)
                    for task, each in zip(tasks, member.scalings, strict=True)
                ),
            )
            for member in self.members
            for fit in (member.fit,)
        )

    def _by_fold(self) -> dict[int, list[Member]]:
        folds: dict[int, list[Member]] = {}
        for member in self.members:
            folds.setdefault(member.fit.fold, []).append(member)
        return folds

    def _together(
        self, predictions: ValidationPredictions | TestPredictions, members: Sequence[Member]
    ) -> Scored:
        said = [_said(predictions, member) for member in members]
        if any(not np.array_equal(each.rows, said[0].rows) for each in said):
            raise PredictionsError(f"{self.arm.label}: members of one fold predict different units")
        return Scored(
            said[0].rows, deployed_logits([each.logits for each in said], [each.scalings for each in members])
        )


def deployed_score(
    fits: Sequence[FitKey],
    validation: ValidationPredictions,
    test: TestPredictions,
) -> DeployedScore:
    """Scales the members of a deployed model, each by itself and then all together, on validation labels.

    ``test`` is asked, with grouped folds, how far the members of two folds disagree, and for no label.
    """
    members = tuple(Member(fit, scalings(validation, fit)) for fit in fits)
    num_tasks = len(validation.tasks)
    alone = DeployedScore(fits[0].arm, members, (False,) * num_tasks, (Narrowing(),) * num_tasks)
    said = alone.unseen(validation)
    labels = validation.units.labels[said.rows]
    narrowing = _narrowing(alone, said, validation, test)
    calibrated = tuple(has_both_classes(labels[:, task]) for task in range(num_tasks))
    after = [
        fit_slope_and_intercept(narrowing[task].apply(said.logits[:, task], labels[:, task]), labels[:, task])
        if calibrated[task]
        else Scaling()
        for task in range(num_tasks)
    ]
    return DeployedScore(
        alone.arm,
        tuple(_then(member, after) for member in members),
        calibrated,
        tuple(
            replace(each, disagreement=each.disagreement * scaling.slope**2)
            for each, scaling in zip(narrowing, after, strict=True)
        ),
    )


def _then(member: Member, after: Sequence[Scaling]) -> Member:
    pairs = zip(member.scalings, after, strict=True)
    return Member(member.fit, tuple(own.then(common) for own, common in pairs))


def _narrowing(
    score: DeployedScore, on_validation: Scored, validation: ValidationPredictions, test: TestPredictions
) -> tuple[Narrowing, ...]:
    num_folds = len({member.fit.fold for member in score.members})
    if num_folds == 1:
        return score.narrowing
    on_test = score.unseen(test)
    _, first, second = np.intersect1d(
        validation.units.ordinals[on_validation.rows],
        test.units.ordinals[on_test.rows],
        return_indices=True,
    )
    apart = on_validation.logits[first] - on_test.logits[second]
    return tuple(Narrowing(float(np.mean(each**2)) / 2.0, num_folds) for each in apart.T)


def _said(predictions: ValidationPredictions | TestPredictions, member: Member) -> FitLogits:
    fit = member.fit
    found = predictions.by_fit.get(fit)
    if found is None:
        raise PredictionsError(f"{fit.arm.label} draw {fit.draw} seed {fit.seed}: no predictions")
    return found


def distinct_members(
    arm: ArmKey, chosen: Sequence[tuple[int, int]], objects: Mapping[FitKey, str]
) -> tuple[FitKey, ...]:
    """The final fits of some draws and seeds; those that share one stored model, as a probe's seeds do, count once."""
    found: dict[str, FitKey] = {}
    for key in sorted(objects):
        if key.arm == arm and (key.draw, key.seed) in chosen:
            found.setdefault(f"{key.fold} {objects[key]}", key)
    return tuple(sorted(found.values()))
