"""`report.html`: one file, no script, no network, readable on paper."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from chex_jobs.evaluation.reporting.shareable import shareable
from chex_jobs.evaluation.results.schema import (
    ArmCost,
    ArmKey,
    DeployedPerformance,
    HospitalResults,
    MetadataBaseline,
    Results,
    Sufficiency,
    TaskSummary,
)
from chex_jobs.evaluation.statistics.disclosure import hides_classes
from chex_jobs.report import figures, numbers, rows
from chex_jobs.report.checklist import checklist


def render_page(results: Results, models: Mapping[str, str]) -> str:
    """The page. `models` holds the path of each hospital's deployable model below the folder of the page."""
    results = shareable(results)
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
        signed_estimate=numbers.signed_estimate,
        count=numbers.short_count,
        counted=numbers.counted,
        cost_of=cost_of,
        duration=numbers.duration,
        percent=numbers.percent,
        figures=figures,
        headline=lambda hospital: rows.HEADLINES[hospital.recommendation.verdict],
        arm_rows=rows.arm_rows,
        notices=rows.notices,
        shown_counts=rows.shown_counts,
        shown_rates=rows.shown_rates,
        step_name=rows.step_name,
        sufficient=lambda task: task.sufficiency == Sufficiency.SUFFICIENT,
        baseline_of=baseline_of,
        deployed_of=deployed_of,
        prevalence_of=prevalence_of,
        task_of=task_of,
    )
    page = environment.get_template("page.html.j2")
    return page.render(
        results=results, models=models, items=checklist(results), matrices=rows.matrices(results)
    )


def cost_of(hospital: HospitalResults, arm: ArmKey) -> ArmCost:
    """What an arm costs."""
    return next(each.cost for each in hospital.arms if each.arm == arm)


def baseline_of(hospital: HospitalResults, task: str) -> MetadataBaseline | None:
    """The metadata baseline of a task, or None."""
    return next((each for each in hospital.metadata_baselines if each.task == task), None)


def deployed_of(hospital: HospitalResults, task: str) -> DeployedPerformance | None:
    """What the deployed weights reached on a task, or None."""
    return next((each for each in hospital.recommendation.deployed_performance if each.task == task), None)


def task_of(hospital: HospitalResults, task: str) -> TaskSummary:
    """The task's summary."""
    return next(each for each in hospital.tasks if each.task == task)


def prevalence_of(task: TaskSummary) -> float | None:
    """Share of positive test units: the AUPRC of a useless model; None where it would give a small cell away."""
    if hides_classes(task.test) or not task.test.units:
        return None
    return task.test.positive_units / task.test.units
