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

from chex_jobs.evaluation.arms.selection import Standing, choose_reference, cost_order, price
from chex_jobs.evaluation.results.schema import ArmKey, ArmVerdict, Comparison, RecommendationVerdict
from chex_jobs.evaluation.statistics.clustered import Influence, covariance, tail_degrees_of_freedom
from chex_jobs.evaluation.statistics.estimates import auroc_estimate, variance_over_patients
from chex_jobs.evaluation.statistics.intervals import AUROC_DIFFERENCE, Uncertain, difference_interval
from chex_jobs.evaluation.statistics.multiplicity import critical_values, max_t_critical_value
from chex_jobs.evaluation.statistics.replication import TrainingVariance, enough_repetitions, satterthwaite

ROUNDING = 1e-12
"""Patients whose contributions differ by less do not tell two arms apart."""


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
    better: ArmKey | None = None
    """Of the arms that cost as much as ``deploy`` or more and are shown to be better, the one that is best."""

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
    deficits, shared = _deficits(choice.reference, others, evidence.arms, confidence, seed)
    comparisons = {choice.reference: Comparison(choice.reference, 0.0, 0.0, 0.0, 0.0, ArmVerdict.REFERENCE)}
    for arm, each in zip(others, deficits, strict=True):
        verdict = ArmVerdict.NOT_DISTINGUISHABLE
        if each.lower is not None and each.upper is not None:
            verdict = arm_verdict(each.lower, each.upper, margin)
        comparisons[arm] = Comparison(arm, each.value, each.error, each.lower, each.upper, verdict)
    skilled = shown_above_chance(evidence, confidence)
    enough, verdict = _decide(choice, comparisons, skilled)
    return Advice(
        choice.reference,
        enough,
        choice.reference in skilled,
        verdict,
        shared,
        tuple(comparisons[arm] for arm in order),
        _best_of_dearer(choice, comparisons) if skilled else None,
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
    """The arms whose AUROC has a lower bound above 0.5; the bounds hold for all arms together (Bonferroni)."""
    share = (1 - confidence) / max(1, len(evidence.arms))
    found = set()
    for arm, each in evidence.arms.items():
        interval = auroc_estimate(each.influence, each.training, 1 - 2 * share).interval
        if interval is not None and interval.lower > 0.5:
            found.add(arm)
    return frozenset(found)


@dataclass(frozen=True)
class _Deficit:
    """Of one arm beside the reference."""

    value: float
    error: float | None
    lower: float | None
    """``None`` where nothing can be said: no patient tells the two arms apart, or too few repetitions."""
    upper: float | None


def _deficits(
    reference: ArmKey,
    others: Sequence[ArmKey],
    arms: Mapping[ArmKey, ArmEvidence],
    confidence: float,
    seed: int,
) -> tuple[list[_Deficit], float | None]:
    """Deficits of the other arms with simultaneous bounds, and the critical value that they share.

    The bounds join the two arms' own score intervals (``intervals``): near an AUROC of 1 a difference has no
    trustworthy variance of its own. Training varies independently from arm to arm: draws are shared between
    arms, which would make differences a little smaller, so leaving that out errs on the safe side.
    """
    if not others:
        return [], None
    compared = [arms[reference], *(arms[arm] for arm in others)]
    sampling = covariance([each.influence for each in compared])
    measures = [
        Uncertain.of(
            each.influence, max(float(sampling[k, k]), 0.0) + each.training.variance, AUROC_DIFFERENCE
        )
        for k, each in enumerate(compared)
    ]
    joined = sampling.copy()
    np.fill_diagonal(joined, [each.paired_variance for each in measures])
    contrast = np.hstack([np.ones((len(others), 1)), -np.eye(len(others))])
    shared = max_t_critical_value(contrast @ joined @ contrast.T, confidence, seed)
    freedom = np.array([_degrees_of_freedom(compared[0], each) for each in compared[1:]])
    critical = critical_values(shared, freedom)
    return [
        _deficit(
            compared[0],
            compared[k + 1],
            difference_interval(measures[0], measures[k + 1], float(sampling[0, k + 1]), float(critical[k])),
            freedom[k],
        )
        for k in range(len(others))
    ], shared


def _degrees_of_freedom(reference: ArmEvidence, arm: ArmEvidence) -> float:
    difference = reference.influence - arm.influence
    return satterthwaite(
        variance_over_patients(difference),
        min(difference.degrees_of_freedom, tail_degrees_of_freedom(difference)),
        [reference.training, arm.training],
    )


def _deficit(
    reference: ArmEvidence, arm: ArmEvidence, bounds: tuple[float, float], degrees_of_freedom: float
) -> _Deficit:
    difference = reference.influence - arm.influence
    value, training = difference.value, [reference.training, arm.training]
    if not np.any(np.abs(difference.parts) > ROUNDING):
        return _Deficit(value, None, None, None)
    error = math.sqrt(variance_over_patients(difference) + sum(each.variance for each in training))
    if not enough_repetitions(degrees_of_freedom, training):
        return _Deficit(value, error, None, None)
    return _Deficit(value, error, *bounds)


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
    if _best_of_dearer(choice, comparisons) is not None:
        return enough, RecommendationVerdict.DEARER_ARM_BETTER
    if enough is not None:
        return enough, RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN
    if not cheaper:
        return None, RecommendationVerdict.REFERENCE_IS_CHEAPEST
    if all(comparisons[arm].verdict is ArmVerdict.WORSE for arm in cheaper):
        return None, RecommendationVerdict.CHEAPER_ARMS_WORSE
    return None, RecommendationVerdict.NOT_DISTINGUISHABLE


def _best_of_dearer(choice: ValidationChoice, comparisons: Mapping[ArmKey, Comparison]) -> ArmKey | None:
    """Of the arms that are shown to be better and would save nothing, as they cost as much as the reference or more, the best."""
    costs = {each.arm: price(each.cost) for each in choice.standings}
    better = [
        each
        for arm, each in comparisons.items()
        if each.verdict is ArmVerdict.BETTER and costs[arm] >= costs[choice.reference]
    ]
    return min(better, key=lambda each: (each.upper or 0.0, each.arm)).arm if better else None
