"""Rows of the page's tables, where these are not simply the results' own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chex_jobs.evaluation.results.schema import (
    ArmKey,
    ArmResult,
    ArmVerdict,
    ClassCounts,
    Comparison,
    Estimate,
    HospitalResults,
    OperatingPoint,
    RecommendationVerdict,
    Results,
    Sufficiency,
    TaskSummary,
)
from chex_jobs.evaluation.statistics.disclosure import (
    hides_classes,
    hides_measures,
    is_small,
    without_finding,
)
from chex_jobs.report import numbers

VERDICTS = {
    ArmVerdict.REFERENCE: "reference",
    ArmVerdict.BETTER: "better",
    ArmVerdict.WITHIN_MARGIN: "within the margin",
    ArmVerdict.WORSE: "worse",
    ArmVerdict.NOT_DISTINGUISHABLE: "not distinguishable",
    ArmVerdict.INSUFFICIENT_DATA: "insufficient data",
}


@dataclass(frozen=True)
class Headline:
    """The verdict in few words, and how the box is drawn."""

    text: str
    style: str
    """`good` where test patients showed something in favour of an arm, `open` where they did not."""


HEADLINES = {
    RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN: Headline("A cheaper arm is within the margin", "good"),
    RecommendationVerdict.REFERENCE_IS_CHEAPEST: Headline(
        "The best on validation is also the cheapest", "open"
    ),
    RecommendationVerdict.CHEAPER_ARMS_WORSE: Headline("Every cheaper arm is worse", "good"),
    RecommendationVerdict.NOT_DISTINGUISHABLE: Headline("Cheaper arms not distinguishable", "open"),
    RecommendationVerdict.INSUFFICIENT_DATA: Headline("Insufficient data", "open"),
    RecommendationVerdict.NO_ARM_BETTER_THAN_CHANCE: Headline(
        "No arm is shown to be better than chance", "open"
    ),
    RecommendationVerdict.DEARER_ARM_BETTER: Headline("Another arm is shown to be better", "open"),
    RecommendationVerdict.VALIDATION_COULD_NOT_CHOOSE: Headline("Validation could not choose", "open"),
}


@dataclass(frozen=True)
class ArmRow:
    """One line of a hospital's table of arms."""

    arm: ArmResult
    verdict: str
    deficit: str
    deploy: bool
    enough: bool


@dataclass(frozen=True)
class MatrixRow:
    """One hospital's model on each hospital's test patients, in the order of `Matrix.tested_on`."""

    trained_on: str
    arm: ArmKey
    cells: tuple[Estimate | None, ...]
    """None where it was not tested."""


@dataclass(frozen=True)
class Matrix:
    """The cross-hospital matrix of one task."""

    task: str
    tested_on: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


def arm_rows(hospital: HospitalResults) -> list[ArmRow]:
    """All arms in order of cost, with what the test set says about each beside the reference."""
    compared = {each.arm: each for each in hospital.recommendation.comparisons}
    return [
        ArmRow(
            arm=arm,
            verdict=VERDICTS[compared[arm.arm].verdict] if arm.arm in compared else numbers.MISSING,
            deficit=_deficit(compared.get(arm.arm)),
            deploy=arm.arm == hospital.recommendation.deploy,
            enough=arm.arm == hospital.recommendation.enough,
        )
        for arm in hospital.arms
    ]


@dataclass(frozen=True)
class ShownCounts:
    """The size of a labelled set as it may be shown: small cells, and what gives them away, are words."""

    units: str
    patients: str
    with_finding: str
    without: str


def shown_counts(counts: ClassCounts) -> ShownCounts:
    """The counts of one task and set, with small cells hidden."""
    units = numbers.HIDDEN if is_small(counts.patients) else str(counts.units)
    classes = (counts.positive_patients, without_finding(counts))
    if not hides_classes(counts):
        return ShownCounts(units, _patients(counts.patients), *(str(each) for each in classes))
    words = (numbers.FEW if is_small(each) else numbers.HIDDEN for each in classes)
    return ShownCounts(units, _patients(counts.patients), *words)


def _patients(count: int) -> str:
    return numbers.FEW if is_small(count) else str(count)


@dataclass(frozen=True)
class ShownRates:
    """What an operating point promised and reached, as it may be shown: a rate of few patients tells how few."""

    promised_specificity: str
    specificity: str
    promised_sensitivity: str
    sensitivity: str


def shown_rates(task: TaskSummary, point: OperatingPoint) -> ShownRates:
    """The rates of one operating point; those of a small class of validation or test patients are hidden."""

    def promised(value: float | None) -> str:
        return numbers.HIDDEN if hides_measures(task.validate) else numbers.three_digits(value)

    def reached(value: Estimate) -> str:
        return numbers.HIDDEN if hides_measures(task.test) else numbers.estimate(value)

    return ShownRates(
        promised(point.validation_specificity),
        reached(point.specificity),
        promised(point.validation_sensitivity),
        reached(point.sensitivity),
    )


def notices(hospital: HospitalResults) -> list[str]:
    """What a reader must see before any number: tasks without intervals, then the evaluation's warnings, each once."""
    insufficient = [
        f"{task.task}: {task.reason}" for task in hospital.tasks if task.sufficiency != Sufficiency.SUFFICIENT
    ]
    untrained = (
        [f"Not trained: {reason}" for reason in hospital.unlearnable.values()] if hospital.arms else []
    )
    return list(dict.fromkeys([*untrained, *insufficient, *hospital.warnings]))


def matrices(results: Results) -> list[Matrix]:
    """The hospitals' models on each other's test patients, one matrix for each task that was tested elsewhere."""
    cells = [cell for hospital in results.hospitals for cell in hospital.cross_hospital]
    found = []
    for task in dict.fromkeys(cell.task for cell in cells):
        values: dict[tuple[str, ArmKey], dict[str, Estimate]] = {}
        for cell in (each for each in cells if each.task == task):
            values.setdefault((cell.trained_on, cell.arm), {cell.trained_on: cell.own_auroc})[
                cell.tested_on
            ] = cell.auroc
        found.append(_matrix(task, values, [hospital.hospital for hospital in results.hospitals]))
    return found


def step_name(name: str) -> str:
    """`TestLabelled:icu` of a patient flow as `Test labelled: icu`."""
    step, colon, task = name.partition(":")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", step)
    return words[:1] + words[1:].lower() + (f": {task}" if colon else "")


def _matrix(
    task: str, values: Mapping[tuple[str, ArmKey], Mapping[str, Estimate]], hospitals: Sequence[str]
) -> Matrix:
    tested = {name for cells in values.values() for name in cells}
    columns = tuple(name for name in hospitals if name in tested)
    rows = (
        MatrixRow(trained, arm, tuple(cells.get(name) for name in columns))
        for (trained, arm), cells in values.items()
    )
    return Matrix(task, columns, tuple(rows))


def _deficit(comparison: Comparison | None) -> str:
    """`+0.016 (+0.002 to +0.028)`; the reference has none."""
    if comparison is None or comparison.verdict == ArmVerdict.REFERENCE or comparison.deficit is None:
        return numbers.MISSING
    if comparison.lower is None or comparison.upper is None:
        return numbers.signed(comparison.deficit)
    return numbers.signed_range(comparison.deficit, comparison.lower, comparison.upper)
