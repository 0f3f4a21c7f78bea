"""The sentences of an evaluation: what was found, and what the reader must not overlook."""

from __future__ import annotations

from collections.abc import Sequence

from chex_jobs.evaluation.recommendation import Advice
from chex_jobs.evaluation.results import (
    ArmKey,
    ArmResult,
    MetadataBaseline,
    RecommendationVerdict,
    Sufficiency,
    TaskSummary,
)


def sentence(advice: Advice, reference: ArmKey, margin: float, confidence: float) -> str:
    """The finding in one sentence."""
    chosen, sure = advice.recommended.label, f"{confidence:.0%}"
    match advice.verdict:
        case RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN:
            bound = next(each.upper for each in advice.comparisons if each.arm == advice.recommended)
            return (
                f"Use {chosen}: it is the cheapest arm whose test AUROC is shown, with {sure} confidence over all arms, "
                f"to be less than {margin:g} below that of {reference.label} (at most {max(bound or 0.0, 0.0):.3f} below)."
            )
        case RecommendationVerdict.REFERENCE_IS_CHEAPEST:
            return f"Use {chosen}: it was best on validation and no arm is cheaper."
        case RecommendationVerdict.CHEAPER_ARMS_WORSE:
            return (
                f"Use {chosen}: it was best on validation and every cheaper arm is shown to be worse on test."
            )
        case RecommendationVerdict.NOT_DISTINGUISHABLE:
            return (
                f"{chosen} was best on validation; the test set cannot show whether a cheaper arm is within {margin:g} of it "
                "(not distinguishable)."
            )
        case RecommendationVerdict.INSUFFICIENT_DATA:
            return (
                f"Insufficient data: {chosen} was best on validation, but the test set has too few patients to support "
                "any claim; take it as unproven."
            )


def gather_warnings(
    tasks: Sequence[TaskSummary],
    arms: Sequence[ArmResult],
    baselines: Sequence[MetadataBaseline],
    num_folds: int,
) -> tuple[str, ...]:
    """What stands in the way of believing the numbers."""
    found = [
        f"{each.task}: {each.reason}" for each in tasks if each.sufficiency is Sufficiency.INSUFFICIENT_DATA
    ]
    single = sum(1 for arm in arms if len(arm.tasks[0].replicates) == 1)
    if single:
        found.append(
            f"{single} of {len(arms)} arms have one final fit each: how much they vary with the seed is not in their intervals."
        )
    for each in baselines:
        gain = each.gain.interval
        if gain is not None and gain.lower <= 0.0:
            found.append(
                f"{each.task}: the recommended arm is not shown to predict better than {', '.join(each.features)} alone."
            )
        elif gain is None and each.gain.value is not None and each.gain.value <= 0.0:
            found.append(
                f"{each.task}: {', '.join(each.features)} alone predicted at least as well as the recommended arm."
            )
    if num_folds:
        found.append(
            f"Scores are pooled over {num_folds} folds; intervals do not hold the dependence between fold models, and the "
            "deployed ensemble of the fold models was itself not tested."
        )
    return tuple(found)
