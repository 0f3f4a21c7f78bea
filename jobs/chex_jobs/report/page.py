"""`report.html`: one file, no script, no network, readable on paper."""

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from chex_jobs.evaluation.results import (
    ArmResult,
    ArmVerdict,
    Calibration,
    Curve,
    HospitalResults,
    PretrainingSummary,
    RecommendationVerdict,
    Results,
    Sufficiency,
)
from chex_jobs.report import numbers
from chex_jobs.report.charts import Dot, ForestRow, Line, forest, line_chart, scatter
from chex_jobs.report.checklist import checklist

VERDICTS = {
    ArmVerdict.REFERENCE: "reference",
    ArmVerdict.WITHIN_MARGIN: "within the margin",
    ArmVerdict.WORSE: "worse",
    ArmVerdict.NOT_DISTINGUISHABLE: "not distinguishable",
    ArmVerdict.INSUFFICIENT_DATA: "insufficient data",
}
HEADLINES = {
    RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN: ("A cheaper way is good enough", "good"),
    RecommendationVerdict.REFERENCE_IS_CHEAPEST: ("The best on validation is also the cheapest", "good"),
    RecommendationVerdict.CHEAPER_ARMS_WORSE: ("The cheaper ways are worse", "good"),
    RecommendationVerdict.NOT_DISTINGUISHABLE: ("Not distinguishable", "open"),
    RecommendationVerdict.INSUFFICIENT_DATA: ("Insufficient data", "open"),
}


@dataclass(frozen=True)
class ArmRow:
    """One line of a hospital's table of arms."""

    arm: ArmResult
    verdict: str
    deficit: str
    recommended: bool
    reference: bool


def render_page(results: Results, models: Mapping[str, str]) -> str:
    """The page. `models` holds the URI of each hospital's deployable model."""
    environment = Environment(
        loader=PackageLoader("chex_jobs.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        number=numbers.three_digits,
        estimate=numbers.estimate,
        count=numbers.short_count,
        duration=numbers.duration,
        percent=numbers.percent,
        headline=lambda hospital: HEADLINES[hospital.recommendation.verdict],
        arm_rows=arm_rows,
        insufficient_tasks=insufficient_tasks,
        forest_of=forest_of,
        cost_chart=cost_chart,
        fraction_chart=fraction_chart,
        reliability_chart=reliability_chart,
        curve_chart=curve_chart,
        curves_by_task=curves_by_task,
        loss_chart=loss_chart,
        sufficient=lambda task: task.sufficiency == Sufficiency.SUFFICIENT,
        baseline_of=baseline_of,
    )
    page = environment.get_template("page.html.j2")
    return page.render(results=results, models=models, items=checklist(results))


def arm_rows(hospital: HospitalResults) -> list[ArmRow]:
    """All arms in order of cost, with what the test set says about each beside the reference."""
    compared = {each.arm: each for each in hospital.recommendation.comparisons}
    rows = []
    for arm in hospital.arms:
        comparison = compared.get(arm.arm)
        bounded = comparison is not None and comparison.deficit is not None and comparison.upper is not None
        rows.append(
            ArmRow(
                arm=arm,
                verdict=VERDICTS[comparison.verdict] if comparison is not None else numbers.MISSING,
                deficit=f"{comparison.deficit:+.3f} (< {comparison.upper:.3f})" if bounded and comparison else numbers.MISSING,
                recommended=arm.arm == hospital.recommendation.recommended,
                reference=arm.arm == hospital.recommendation.reference,
            )
        )
    return rows


def insufficient_tasks(hospital: HospitalResults) -> list[str]:
    """Sentences about the tasks whose test set is too small for any interval."""
    return [f"{task.task}: {task.reason}" for task in hospital.tasks if task.sufficiency != Sufficiency.SUFFICIENT]


def baseline_of(hospital: HospitalResults, task: str) -> object:
    """The metadata baseline of a task, or None."""
    return next((each for each in hospital.metadata_baselines if each.task == task), None)


def forest_of(hospital: HospitalResults, task: str) -> Markup:
    """AUROC of every arm on one task, best validation first, the metadata baseline last."""
    arms = sorted(hospital.arms, key=lambda arm: -(arm.validation_score or 0.0))
    rows = []
    for arm in arms:
        result = next(each for each in arm.tasks if each.task == task)
        interval = result.auroc.interval
        rows.append(
            ForestRow(
                label=arm.arm.label,
                value=result.auroc.value,
                lower=interval.lower if interval else None,
                upper=interval.upper if interval else None,
                text=numbers.estimate(result.auroc),
                emphasis=arm.arm == hospital.recommendation.recommended,
            )
        )
    baseline = next((each for each in hospital.metadata_baselines if each.task == task), None)
    if baseline is not None and baseline.auroc.value is not None:
        interval = baseline.auroc.interval
        lower, upper = (interval.lower, interval.upper) if interval else (None, None)
        rows.append(ForestRow("metadata alone, no pixel", baseline.auroc.value, lower, upper, numbers.estimate(baseline.auroc)))
    return forest(f"AUROC on test patients of every arm: {task}", rows, "AUROC on test patients", guide=0.5)


def cost_chart(hospital: HospitalResults) -> Markup:
    """Mean test AUROC against cost."""
    chosen = hospital.recommendation.recommended
    dots = [
        Dot(arm.arm.label, max(arm.cost.film_passes, 1.0), arm.mean_auroc.value, "chosen" if arm.arm == chosen else "first")
        for arm in hospital.arms
        if arm.mean_auroc.value is not None
    ]
    return scatter("Cost against accuracy", dots, "cost in film passes (forward 1, forward and backward 3)", "mean AUROC on test") if dots else Markup("")


def fraction_chart(hospital: HospitalResults) -> Markup:
    """Mean test AUROC by label fraction, of the recommended start; nothing where there is one fraction only."""
    start = hospital.recommendation.recommended.start
    kinds = ("first", "second", "third", "fourth", "fifth", "sixth")
    lines = []
    for strategy in dict.fromkeys(arm.arm.strategy for arm in hospital.arms):
        points = sorted(
            (arm.arm.label_fraction, arm.mean_auroc.value)
            for arm in hospital.arms
            if arm.arm.strategy == strategy and arm.arm.start == start and arm.mean_auroc.value is not None
        )
        if len(points) > 1:
            kind = kinds[len(lines) % len(kinds)]
            lines.append(Line(strategy, [point[0] for point in points], [point[1] for point in points], kind, points=True))
    return line_chart(f"AUROC by share of labels, from {start}", lines, "share of labels", "mean AUROC on test") if lines else Markup("")


def reliability_chart(calibration: Calibration) -> Markup:
    """Observed rate against predicted probability."""
    guide = Line("perfect", (0.0, 1.0), (0.0, 1.0), "guide")
    found = Line(
        "model", [each.mean_probability for each in calibration.bins], [each.observed_rate for each in calibration.bins], points=True
    )
    return line_chart("Reliability", [guide, found], "predicted probability", "observed rate", x_range=(0, 1), y_range=(0, 1))


def curves_by_task(hospital: HospitalResults) -> list[tuple[str, str, list[Curve]]]:
    """(task, ROC or PR, the curves of recommended and reference arm)."""
    grouped: dict[tuple[str, str], list[Curve]] = {}
    for curve in hospital.curves:
        grouped.setdefault((curve.task, curve.kind), []).append(curve)
    return [(task, kind, curves) for (task, kind), curves in grouped.items()]


def curve_chart(kind: str, curves: list[Curve]) -> Markup:
    """A ROC or precision-recall chart."""
    titles = ("false positive rate", "sensitivity") if kind == "ROC" else ("recall", "precision")
    guide = [Line("chance", (0.0, 1.0), (0.0, 1.0), "guide")] if kind == "ROC" else []
    lines = [Line(curve.arm.label, curve.x, curve.y, ("first", "second")[min(index, 1)]) for index, curve in enumerate(curves)]
    return line_chart(kind, [*guide, *lines], *titles, x_range=(0, 1), y_range=(0, 1))


def loss_chart(run: PretrainingSummary) -> Markup:
    """Loss by step."""
    if len(run.loss) < 2:
        return Markup("")
    line = Line("loss", [point.step for point in run.loss], [point.value for point in run.loss])
    return line_chart(f"Loss of {run.name}", [line], "step", "loss")
