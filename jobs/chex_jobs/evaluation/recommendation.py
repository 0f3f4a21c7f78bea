"""Which arm to use: the cheapest one that is shown to lose less than the margin.

The reference arm and all fits to deploy come in as a ``ValidationChoice``. Test results come in as
``TestEvidence`` and decide only whether a cheaper arm may replace the reference. The deficit of every arm,
paired on the same patients, gets bounds that hold for all arms together, so that "the cheapest that passes"
is no fishing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chex_jobs.evaluation.clustered import Influence, covariance
from chex_jobs.evaluation.discrimination import FloatArray
from chex_jobs.evaluation.multiplicity import SimultaneousBounds, simultaneous_bounds
from chex_jobs.evaluation.replication import TrainingVariance, satterthwaite
from chex_jobs.evaluation.results import ArmKey, ArmVerdict, Comparison, RecommendationVerdict
from chex_jobs.evaluation.selection import Standing, choose_deployed, choose_reference, cost_order


@dataclass(frozen=True)
class ValidationChoice:
    """What validation decided."""

    reference: ArmKey
    standings: tuple[Standing, ...]
    """All arms, cheapest first."""
    deployed_fit: Mapping[ArmKey, tuple[int, int]]
    """Draw and seed to deploy, should the arm be recommended."""

    @staticmethod
    def of(standings: tuple[Standing, ...]) -> ValidationChoice:
        """Makes both choices."""
        ordered = tuple(sorted(standings, key=lambda each: cost_order(each.arm, each.cost)))
        return ValidationChoice(
            choose_reference(ordered), ordered, {each.arm: choose_deployed(each) for each in ordered}
        )


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
    """The decision and its grounds."""

    recommended: ArmKey
    verdict: RecommendationVerdict
    critical_value: float | None
    comparisons: tuple[Comparison, ...]
    """Cheapest first."""

    @property
    def proven(self) -> bool:
        """Whether the test set supports the decision, rather than validation alone."""
        return self.verdict not in (
            RecommendationVerdict.NOT_DISTINGUISHABLE,
            RecommendationVerdict.INSUFFICIENT_DATA,
        )


def recommend(
    choice: ValidationChoice, evidence: TestEvidence, *, margin: float, confidence: float, seed: int
) -> Advice:
    """Compares every arm with the reference and picks the cheapest that is shown to be within the margin."""
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
    recommended, verdict = _decide(choice, comparisons)
    return Advice(
        recommended,
        verdict,
        bounds.critical_value if others else None,
        tuple(comparisons[arm] for arm in order),
    )


def arm_verdict(lower: float, upper: float, margin: float) -> ArmVerdict:
    """The verdict on a deficit with simultaneous bounds."""
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
    return Advice(reference, RecommendationVerdict.INSUFFICIENT_DATA, None, comparisons)


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
    choice: ValidationChoice, comparisons: Mapping[ArmKey, Comparison]
) -> tuple[ArmKey, RecommendationVerdict]:
    price = {each.arm: (each.cost.film_passes, each.cost.labels) for each in choice.standings}
    cheaper = [each.arm for each in choice.standings if price[each.arm] < price[choice.reference]]
    verdicts = [comparisons[arm].verdict for arm in cheaper]
    if ArmVerdict.WITHIN_MARGIN in verdicts:
        chosen = cheaper[verdicts.index(ArmVerdict.WITHIN_MARGIN)]
        return chosen, RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN
    if not cheaper:
        return choice.reference, RecommendationVerdict.REFERENCE_IS_CHEAPEST
    if all(verdict is ArmVerdict.WORSE for verdict in verdicts):
        return choice.reference, RecommendationVerdict.CHEAPER_ARMS_WORSE
    return choice.reference, RecommendationVerdict.NOT_DISTINGUISHABLE
