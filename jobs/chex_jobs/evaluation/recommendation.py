"""What test patients say of the arm that validation chose, and which cheaper arm would be enough next time.

The reference arm, which is the one to deploy, and all fits come in as a ``ValidationChoice``. Test results come
in as ``TestEvidence`` and replace nothing: they say whether a cheaper arm is shown to lose less than the margin.
The deficit of every arm, paired on the same patients, gets bounds that hold for all arms together, so that "the
cheapest that passes" is no fishing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chex_jobs.evaluation.clustered import Influence, covariance
from chex_jobs.evaluation.discrimination import FloatArray
from chex_jobs.evaluation.estimates import auroc_estimate
from chex_jobs.evaluation.multiplicity import SimultaneousBounds, simultaneous_bounds
from chex_jobs.evaluation.replication import TrainingVariance, satterthwaite
from chex_jobs.evaluation.results import ArmKey, ArmVerdict, Comparison, RecommendationVerdict
from chex_jobs.evaluation.selection import Standing, choose_reference, cost_order, price


@dataclass(frozen=True)
class ValidationChoice:
    """What validation decided."""

    reference: ArmKey
    standings: tuple[Standing, ...]
    """All arms, cheapest first."""

    @staticmethod
    def of(standings: tuple[Standing, ...]) -> ValidationChoice:
        """Chooses. Raises ``CouldNotChoose`` when no arm has a validation score."""
        ordered = tuple(sorted(standings, key=lambda each: cost_order(each.arm, each.cost)))
        return ValidationChoice(choose_reference(ordered), ordered)


@dataclass(frozen=True)
class ArmEvidence:
    """Mean test AUROC of one arm over the tasks with sufficient data."""

    influence: Influence
    training: TrainingVariance


@dataclass(frozen=True)
class TestEvidence:
    """All arms on the same test patients. ``arms`` is empty when no task has sufficient data."""

    __test__ = False

    arms: Mapping[ArmKey, ArmEvidence]


@dataclass(frozen=True)
class Advice:
    """The two answers and their grounds."""

    deploy: ArmKey
    """The reference."""
    enough: ArmKey | None
    above_chance: bool
    """Whether test patients show ``deploy`` to be better than chance."""
    verdict: RecommendationVerdict
    critical_value: float | None
    comparisons: tuple[Comparison, ...]
    """Cheapest first."""

    @property
    def proven(self) -> bool:
        """Whether test patients showed what the verdict says in favour of an arm."""
        return self.verdict in (
            RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN,
            RecommendationVerdict.CHEAPER_ARMS_WORSE,
        )


def recommend(
    choice: ValidationChoice, evidence: TestEvidence, *, margin: float, confidence: float, seed: int
) -> Advice:
    """Compares every arm with the reference and finds the cheapest that is shown to be within the margin."""
    order = [each.arm for each in choice.standings]
    if not evidence.arms:
        return _insufficient(choice.reference, order)
    others = [arm for arm in order if arm != choice.reference]
    deficits, errors, bounds = _deficits(choice.reference, others, evidence.arms, confidence, seed)
    comparisons = {choice.reference: Comparison(choice.reference, 0.0, 0.0, 0.0, 0.0, ArmVerdict.REFERENCE)}
    for k, arm in enumerate(others):
        lower, upper = float(bounds.lower[k]), float(bounds.upper[k])
        verdict = arm_verdict(lower, upper, margin)
        comparisons[arm] = Comparison(arm, float(deficits[k]), float(errors[k]), lower, upper, verdict)
    skilled = shown_above_chance(evidence, confidence)
    enough, verdict = _decide(choice, comparisons, skilled)
    return Advice(
        choice.reference,
        enough,
        choice.reference in skilled,
        verdict,
        bounds.critical_value if others else None,
        tuple(comparisons[arm] for arm in order),
    )


def arm_verdict(lower: float, upper: float, margin: float) -> ArmVerdict:
    """The verdict on a deficit with simultaneous bounds."""
    if upper < 0.0:
        return ArmVerdict.BETTER
    if upper < margin:
        return ArmVerdict.WITHIN_MARGIN
    return ArmVerdict.WORSE if lower > 0.0 else ArmVerdict.NOT_DISTINGUISHABLE


def _insufficient(reference: ArmKey, order: Sequence[ArmKey]) -> Advice:
    comparisons = tuple(
        Comparison(reference, 0.0, None, None, None, ArmVerdict.REFERENCE)
        if arm == reference
        else Comparison(arm, None, None, None, None, ArmVerdict.INSUFFICIENT_DATA)
        for arm in order
    )
    return Advice(reference, None, False, RecommendationVerdict.INSUFFICIENT_DATA, None, comparisons)


def shown_above_chance(evidence: TestEvidence, confidence: float) -> frozenset[ArmKey]:
    """The arms whose AUROC has a lower bound above 0.5; the bounds hold for all arms together (Bonferroni).

    A set that is separated completely has no interval, but its order alone is proof enough: at 20 patients of
    each class chance gives it less than once in 10^11.
    """
    share = (1 - confidence) / max(1, len(evidence.arms))
    found = set()
    for arm, each in evidence.arms.items():
        interval = auroc_estimate(each.influence, each.training, 1 - 2 * share).interval
        if each.influence.value >= 1.0 or (interval is not None and interval.lower > 0.5):
            found.add(arm)
    return frozenset(found)


def _deficits(
    reference: ArmKey,
    others: Sequence[ArmKey],
    arms: Mapping[ArmKey, ArmEvidence],
    confidence: float,
    seed: int,
) -> tuple[FloatArray, FloatArray, SimultaneousBounds]:
    """Deficits [K] of the other arms, their standard errors [K] and simultaneous bounds.

    Training varies independently from arm to arm: draws are shared between arms, which would make differences
    a little smaller, so leaving that out errs on the safe side. The reference's own part is common to all
    comparisons.
    """
    base = arms[reference]
    differences = [base.influence - arms[arm].influence for arm in others]
    deficits = np.array([each.value for each in differences])
    if not others:
        return deficits, deficits, SimultaneousBounds(deficits, deficits, math.nan)
    sampling = covariance(differences)
    training = np.diag([arms[arm].training.variance for arm in others]) + base.training.variance
    total = sampling + training
    freedom = np.array(
        [
            satterthwaite(
                max(float(sampling[k, k]), 0.0),
                differences[k].degrees_of_freedom,
                [base.training, arms[arm].training],
            )
            for k, arm in enumerate(others)
        ]
    )
    bounds = simultaneous_bounds(deficits, total, confidence, degrees_of_freedom=freedom, seed=seed)
    return deficits, np.sqrt(np.maximum(np.diag(total), 0.0)), bounds


def _decide(
    choice: ValidationChoice, comparisons: Mapping[ArmKey, Comparison], skilled: frozenset[ArmKey]
) -> tuple[ArmKey | None, RecommendationVerdict]:
    """The arm that is enough, which must itself be shown to be better than chance, and the verdict."""
    if not skilled:
        return None, RecommendationVerdict.NO_ARM_BETTER_THAN_CHANCE
    costs = {each.arm: price(each.cost) for each in choice.standings}
    cheaper = [each.arm for each in choice.standings if costs[each.arm] < costs[choice.reference]]
    close = (ArmVerdict.WITHIN_MARGIN, ArmVerdict.BETTER)
    enough = next((arm for arm in cheaper if comparisons[arm].verdict in close and arm in skilled), None)
    if any(
        comparisons[arm].verdict is ArmVerdict.BETTER and costs[arm] > costs[choice.reference]
        for arm in costs
    ):
        return enough, RecommendationVerdict.DEARER_ARM_BETTER
    if enough is not None:
        return enough, RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN
    if not cheaper:
        return None, RecommendationVerdict.REFERENCE_IS_CHEAPEST
    if all(comparisons[arm].verdict is ArmVerdict.WORSE for arm in cheaper):
        return None, RecommendationVerdict.CHEAPER_ARMS_WORSE
    return None, RecommendationVerdict.NOT_DISTINGUISHABLE
