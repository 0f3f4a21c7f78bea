"""From what the arms of a hospital chose to `arms.json` (`chex_jobs.handover.arms_document`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chex_api.sweep import Metric
from chex_jobs.evaluation.arms.selection import cost_order
from chex_jobs.evaluation.results.schema import ArmCost, ArmKey
from chex_jobs.evaluation.statistics.discrimination import mean_over_folds
from chex_jobs.handover.arms_document import (
    ArmEntry,
    ArmsDocument,
    DrawnLabels,
    FailedArm,
    FinalFit,
    FitScore,
    TrialScore,
)
from chex_jobs.sweep.arms import BATCH, UNITS, Arm, ArmChoice, ArmFailed, Summary
from chex_jobs.sweep.units import Site, WorkUnit


def arms_document(
    arms: Sequence[ArmEntry],
    site: Site,
    unlearnable: Mapping[str, str],
    failed: Sequence[FailedArm] = (),
) -> ArmsDocument:
    """The whole file, with the notices of all its arms."""
    return ArmsDocument(
        tasks=site.tasks,
        unlearnable=dict(unlearnable),
        unit=site.unit,
        metric=site.metric,
        arms=tuple(arms),
        failed=tuple(failed),
        notices=tuple(notices_of(arms, failed)),
    )


def failed_arm(arm: Arm, failure: ArmFailed) -> FailedArm:
    """An arm without a model, and why. With folds it is the first one that failed: an arm needs all of them."""
    of_fold = "" if arm.fold is None else f"fold {arm.fold}: "
    return FailedArm(
        start=arm.start_name,
        strategy=arm.strategy.name,
        label_fraction=arm.fraction,
        reason=of_fold + failure.reason,
    )


def arm_entry(
    arm: Arm,
    choice: ArmChoice,
    used: Sequence[tuple[WorkUnit, Summary]],
    finals: Mapping[str, Summary],
    labelled_patients: int,
) -> ArmEntry:
    """One arm in one fold.

    Args:
        arm: what was compared.
        choice: what its search chose.
        used: every distinct unit of the arm with its summary.
        finals: summaries of the final units by identity.
        labelled_patients: whose labels the arm reads in its first draw, over all folds.
    """
    dapt = arm.strategy.dapt
    once = [summary for unit, summary in used if unit.draw == 0]
    by_draw = {draw: finals[unit.identity]["labels"] for draw, _, unit in choice.finals}
    return ArmEntry(
        start=arm.start_name,
        strategy=arm.strategy.name,
        transfer=arm.strategy.transfer,
        dapt_objective="" if dapt is None else dapt.objective.name,
        label_fraction=arm.fraction,
        fold=arm.fold,
        configuration=choice.configuration,
        epochs=choice.epochs,
        trials=tuple(
            TrialScore(value=_number(score.value), loss=_number(score.loss)) for score in choice.scores
        ),
        labelled_patients=labelled_patients,
        film_passes=sum(int(summary["filmPasses"]) for summary in once),
        device_seconds=round(sum(float(summary["deviceSeconds"]) for summary in once), 3),
        labels=tuple(DrawnLabels.parse({"draw": draw, **counts}) for draw, counts in sorted(by_draw.items())),
        finals=tuple(
            FinalFit(
                draw=draw,
                seed=seed,
                identity=unit.identity,
                score=FitScore.parse(finals[unit.identity]["score"]),
            )
            for draw, seed, unit in choice.finals
        ),
        notices=tuple(_notices(arm, choice, used)),
    )


def _notices(arm: Arm, choice: ArmChoice, used: Sequence[tuple[WorkUnit, Summary]]) -> list[str]:
    """Sentences on how the arm was found that a reader of its numbers should know."""
    said = [f"{edge}; a wider range may hold a better one" for edge in choice.at_edge]
    if choice.left_out and arm.strategy.dapt is not None:
        tried = arm.strategy.dapt.configurations
        said.append(f"{choice.left_out} of its {tried} DAPT configurations diverged and were left out")
    # Without their number, which differs from draw to draw and from fold to fold: one sentence for all of them.
    batches = {
        ("DAPT" if unit.kind == "dapt" else "fine-tuning", summary[BATCH])
        for unit, summary in used
        if UNITS in summary and summary[UNITS] < summary[BATCH]
    }
    said += [
        f"a step of {what} has {batch} films and there were fewer to fill it, so it saw some twice"
        for what, batch in sorted(batches)
    ]
    return said


def notices_of(arms: Sequence[ArmEntry], failed: Sequence[FailedArm]) -> list[str]:
    """What a reader must see of the arms of an `arms.json`, each with the arms that it holds for."""
    said: dict[str, list[str]] = {}
    for entry in arms:
        for notice in entry.notices:
            said.setdefault(notice, []).append(entry.label)
    lost = [f"{entry.label} failed and is not compared: {entry.reason}" for entry in failed]
    return lost + [f"{', '.join(dict.fromkeys(names))}: {notice}" for notice, names in said.items()]


@dataclass(frozen=True)
class OnValidation:
    """An arm on its validation labels."""

    label: str
    """`start/strategy@fraction`."""
    value: float


def best_on_validation(entries: Sequence[ArmEntry], metric: Metric) -> OnValidation | None:
    """The arm with the most labels and, of these, the best mean score over its final fits: what is to be deployed.

    None where no task had both classes. Arms with fewer labels are validated on fewer patients, and the best of such scores is
    too good by chance (`evaluation.arms.selection`). Of equals it is the cheapest, as there.
    With folds the fold models of a draw and seed are one fit: each task's scores are joined over folds, as in the
    evaluation, whose page prints the same number.
    """
    most = max((entry.label_fraction for entry in entries), default=1.0)
    arms: dict[str, list[ArmEntry]] = {}
    for entry in entries:
        if entry.label_fraction == most:
            arms.setdefault(entry.label, []).append(entry)
    cheapest_first = sorted(arms.items(), key=lambda item: _cost_order(item[1]))
    scored = [
        OnValidation(label, value)
        for label, of in cheapest_first
        if (value := _value(of, metric)) is not None
    ]
    return max(scored, key=lambda each: each.value, default=None)


def _cost_order(folds: Sequence[ArmEntry]) -> tuple[tuple[int, float], ArmKey]:
    first = folds[0]
    film_passes = float(sum(fold.film_passes for fold in folds))
    arm = ArmKey(first.start, first.strategy, first.label_fraction)
    return cost_order(arm, ArmCost(film_passes, first.labelled_patients, 0, 0))


def _value(folds: Sequence[ArmEntry], metric: Metric) -> float | None:
    fits: dict[tuple[int, int], list[FitScore]] = {}
    for entry in folds:
        for final in entry.finals:
            fits.setdefault((final.draw, final.seed), []).append(final.score)
    values = [value for scores in fits.values() if (value := _value_of_fit(scores, metric)) is not None]
    return sum(values) / len(values) if values else None


def _value_of_fit(folds: Sequence[FitScore], metric: Metric) -> float | None:
    known: list[float] = []
    for task in range(len(folds[0].by_task(metric))):
        weights = [
            score.positives[task] * (score.negatives[task] if metric == "AUROC" else 1) for score in folds
        ]
        value = mean_over_folds([score.by_task(metric)[task] for score in folds], weights)
        if value is not None:
            known.append(value)
    return sum(known) / len(known) if known else None


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if value != value else value
