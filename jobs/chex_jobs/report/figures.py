"""The figures of the page: which of the results stand in which chart."""

from collections.abc import Sequence

from markupsafe import Markup

from chex_jobs.evaluation.results.schema import (
    ArmTask,
    Calibration,
    Curve,
    CurvePoint,
    Estimate,
    HospitalResults,
    MetadataBaseline,
    PretrainingSummary,
)
from chex_jobs.report import numbers
from chex_jobs.report.charts import Dot, Line, line_chart, scatter
from chex_jobs.report.forest import ForestRow, forest
from chex_jobs.report.marks import GUIDE, Style


def forest_of(hospital: HospitalResults, task: str) -> Markup:
    """AUROC of every arm on one task, best validation first, the metadata baseline last."""
    arms = sorted(hospital.arms, key=lambda arm: -(arm.validation_score or 0.0))
    advice = hospital.recommendation
    rows = []
    for arm in arms:
        found = next(each for each in arm.tasks if each.task == task)
        rows.append(_forest_row(arm.arm.label, found, emphasis=arm.arm == advice.deploy))
    baseline = next((each for each in hospital.metadata_baselines if each.task == task), None)
    if baseline is not None and baseline.auroc.value is not None:
        rows.append(_forest_row("metadata alone, no pixel", baseline, baseline=True))
    return forest(
        f"AUROC on test patients of every arm: {task}",
        rows,
        ("AUROC", "AUPRC"),
        "AUROC on test patients",
        guide=0.5,
    )


def cost_chart(hospital: HospitalResults) -> Markup:
    """Mean test AUROC against cost: shape and colour for the strategy, hollow for fewer labels."""
    strategies = _strategies(hospital)
    dots = [
        Dot(
            label=arm.arm.label,
            series=arm.arm.strategy,
            x=max(arm.cost.film_passes, 1.0),
            y=arm.mean_auroc.value,
            style=Style.of(strategies.index(arm.arm.strategy)),
            hollow=arm.arm.label_fraction < _most_labels(hospital),
            chosen=arm.arm == hospital.recommendation.deploy,
        )
        for arm in hospital.arms
        if arm.mean_auroc.value is not None
    ]
    return (
        scatter("Cost against accuracy", dots, "film passes, logarithmic", "mean AUROC on test")
        if dots
        else Markup("")
    )


def fraction_chart(hospital: HospitalResults) -> Markup:
    """Mean test AUROC by share of labels, of the start to deploy; nothing where there is one share only."""
    chosen = hospital.recommendation.deploy
    start = chosen.start if chosen is not None else ""
    lines = []
    for index, strategy in enumerate(_strategies(hospital)):
        points = sorted(
            (arm.arm.label_fraction, arm.mean_auroc.value)
            for arm in hospital.arms
            if arm.arm.strategy == strategy and arm.arm.start == start and arm.mean_auroc.value is not None
        )
        if len(points) > 1:
            lines.append(
                Line(
                    strategy,
                    [point[0] for point in points],
                    [point[1] for point in points],
                    Style.of(index),
                    points=True,
                )
            )
    return (
        line_chart(f"AUROC by share of labels, from {start}", lines, "share of labels", "mean AUROC on test")
        if lines
        else Markup("")
    )


def reliability_chart(calibration: Calibration) -> Markup:
    """Observed rate against predicted probability; the dashed diagonal is perfect."""
    guide = Line("perfect", (0.0, 1.0), (0.0, 1.0), GUIDE)
    x, y = (
        [each.mean_probability for each in calibration.bins],
        [each.observed_rate for each in calibration.bins],
    )
    lines = [guide, Line("model", x, y, points=True)]
    return line_chart(
        "Reliability", lines, "predicted probability", "observed rate", x_range=(0, 1), y_range=(0, 1)
    )


def curves_by_task(hospital: HospitalResults) -> list[tuple[str, str, list[Curve]]]:
    """(task, ROC or PR, the curves of the arm to deploy and of the one that is enough)."""
    grouped: dict[tuple[str, str], list[Curve]] = {}
    for curve in hospital.curves:
        grouped.setdefault((curve.task, curve.kind), []).append(curve)
    return [(task, kind, curves) for (task, kind), curves in grouped.items()]


def curve_chart(kind: str, curves: Sequence[Curve], prevalence: float | None) -> Markup:
    """A ROC or precision-recall chart with what chance gives as a dashed line, where that may be shown."""
    ends = (0.0, 1.0) if kind == "ROC" else None if prevalence is None else (prevalence, prevalence)
    chance = [Line("chance", (0.0, 1.0), ends, GUIDE)] if ends is not None else []
    titles = ("false positive rate", "sensitivity") if kind == "ROC" else ("recall", "precision")
    lines = [Line(curve.arm.label, curve.x, curve.y, Style.of(index)) for index, curve in enumerate(curves)]
    return line_chart(kind, [*chance, *lines], *titles, x_range=(0, 1), y_range=(0, 1))


def loss_chart(run: PretrainingSummary) -> Markup:
    """Loss by step, the loss of chance dashed; nothing where it was reported once only."""
    return _training_chart(f"Loss of {run.name}", "loss", run.loss, run.chance_loss)


def top1_chart(run: PretrainingSummary) -> Markup:
    """Share of films that find their own other view, by step; nothing where it was not reported."""
    return _training_chart(f"Top-1 of {run.name}", "top-1", run.top1, run.chance_top1)


def _training_chart(title: str, name: str, points: Sequence[CurvePoint], chance: float | None) -> Markup:
    if len(points) < 2:
        return Markup("")
    steps = [point.step for point in points]
    lines = [Line(name, steps, [point.value for point in points])]
    if chance is not None:
        lines.append(Line("chance", (steps[0], steps[-1]), (chance, chance), GUIDE))
    return line_chart(title, lines, "step", name)


def _forest_row(
    label: str, found: ArmTask | MetadataBaseline, *, emphasis: bool = False, baseline: bool = False
) -> ForestRow:
    lower, upper = _ends(found.auroc)
    texts = (numbers.estimate(found.auroc), numbers.estimate(found.auprc))
    return ForestRow(label, found.auroc.value, lower, upper, texts, emphasis, baseline)


def _ends(value: Estimate) -> tuple[float | None, float | None]:
    return (value.interval.lower, value.interval.upper) if value.interval is not None else (None, None)


def _strategies(hospital: HospitalResults) -> list[str]:
    return list(dict.fromkeys(arm.arm.strategy for arm in hospital.arms))


def _most_labels(hospital: HospitalResults) -> float:
    return max(arm.arm.label_fraction for arm in hospital.arms)
