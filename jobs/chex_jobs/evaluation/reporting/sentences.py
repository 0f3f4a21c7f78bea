"""The sentences of an evaluation: what was found, and what the reader must not overlook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chex_jobs.evaluation.arms.recommendation import Advice
from chex_jobs.evaluation.results.schema import (
    ArmKey,
    ArmResult,
    Comparison,
    MetadataBaseline,
    RecommendationVerdict,
    Sufficiency,
    TaskSummary,
)


@dataclass(frozen=True)
class Measured:
    """Which of a hospital's tasks stand behind a mean AUROC."""

    tasks: tuple[str, ...]
    """Those with sufficient data."""
    of: tuple[str, ...]
    """All tasks of the models."""

    @property
    def auroc(self) -> str:
        """``test AUROC``, with the tasks in brackets wherever that is not the whole truth."""
        if len(self.of) == 1:
            return "test AUROC"
        among = "" if len(self.tasks) == len(self.of) else f", of {len(self.of)} tasks"
        if len(self.tasks) == 1:
            return f"test AUROC ({self.tasks[0]} alone{among})"
        return f"mean test AUROC (over {listed(self.tasks)}{among})"


def sentence(advice: Advice, measured: Measured, margin: float, confidence: float) -> str:
    """The finding in a sentence or two: what to deploy, and what would be enough next time."""
    match advice.verdict:
        case RecommendationVerdict.INSUFFICIENT_DATA:
            return (
                f"Insufficient data: {advice.deploy.label} was best on validation, but the test set has too few patients "
                "to support any claim; take it as unproven."
            )
        case RecommendationVerdict.NO_ARM_BETTER_THAN_CHANCE:
            return (
                f"No arm is shown to be better than chance: none has a {measured.auroc} whose lower bound, with "
                f"{confidence:.0%} confidence over all arms, is above 0.5. {advice.deploy.label} was best on validation; "
                "do not rely on it."
            )
        case RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN | RecommendationVerdict.DEARER_ARM_BETTER:
            found = f"Deploy {advice.deploy.label}, which validation chose."
        case RecommendationVerdict.REFERENCE_IS_CHEAPEST:
            found = f"Deploy {advice.deploy.label}, which validation chose; no arm costs less."
        case RecommendationVerdict.CHEAPER_ARMS_WORSE:
            found = (
                f"Deploy {advice.deploy.label}, which validation chose; every cheaper arm is shown to have a worse "
                f"{measured.auroc}."
            )
        case RecommendationVerdict.NOT_DISTINGUISHABLE:
            found = (
                f"Deploy {advice.deploy.label}, which validation chose; the test set cannot show whether a cheaper arm is "
                f"within {margin:g} of its {measured.auroc}: not distinguishable."
            )
        case RecommendationVerdict.VALIDATION_COULD_NOT_CHOOSE:
            raise AssertionError("nothing was compared; see could_not_choose")
    doubt = (
        []
        if advice.above_chance
        else [f"{advice.deploy.label} itself is not shown to be better than chance."]
    )
    return " ".join(
        [found, *doubt, *_dearer(advice, measured), *_enough(advice, measured, margin, confidence)]
    )


def could_not_choose(reasons: Sequence[str]) -> str:
    """The finding where no task could be learned and chosen by, with each task's reason."""
    return f"No model: validation could not choose. {' '.join(reasons)}"


def _enough(advice: Advice, measured: Measured, margin: float, confidence: float) -> list[str]:
    if advice.enough is None:
        return []
    bound = _comparison(advice, advice.enough).upper or 0.0
    return [
        f"Enough next time: {advice.enough.label}, the cheapest arm whose {measured.auroc} is shown, with {confidence:.0%} "
        f"confidence over all arms, to be less than {margin:g} below (at most {max(bound, 0.0):.3f} below)."
    ]


def _dearer(advice: Advice, measured: Measured) -> list[str]:
    if advice.better is None:
        return []
    bound = _comparison(advice, advice.better).upper or 0.0
    return [
        f"Another arm, which is no cheaper, is shown to be better: {advice.better.label} has a {measured.auroc} at least "
        f"{-bound:.3f} above it. Test patients choose nothing here: another validation, or other test patients, have to confirm it."
    ]


def _comparison(advice: Advice, arm: ArmKey) -> Comparison:
    return next(each for each in advice.comparisons if each.arm == arm)


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


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
                f"{each.task}: the arm to deploy is not shown to predict better than {listed(each.features)} alone."
            )
        elif gain is None and each.gain.value is not None and each.gain.value <= 0.0:
            found.append(
                f"{each.task}: {listed(each.features)} alone predicted at least as well as the arm to deploy."
            )
    if num_folds:
        found.append(
            f"AUROCs count pairs within each of {num_folds} folds; intervals do not hold the dependence between fold models, and the "
            "deployed ensemble of the fold models was itself not tested."
        )
    return tuple(found)
