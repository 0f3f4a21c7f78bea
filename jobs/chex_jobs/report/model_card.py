"""`model-card.md`: what a model is for, where it comes from, how good it was shown to be, and where that ends."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from chex_jobs.evaluation.reporting.shareable import shareable_hospital
from chex_jobs.evaluation.results.schema import HospitalResults, Results
from chex_jobs.report import numbers, rows


def render_model_card(results: Results, hospital: HospitalResults) -> str:
    """The card of a hospital's model, in Markdown."""
    hospital = shareable_hospital(hospital)
    environment = Environment(
        loader=PackageLoader("chex_jobs.report"),
        autoescape=False,  # noqa: S701  Markdown; `_in_markdown` escapes every value
        finalize=_in_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        estimate=numbers.estimate,
        number=numbers.three_digits,
        count=numbers.short_count,
        shown_counts=rows.shown_counts,
        notices=rows.notices,
    )
    chosen = next(arm for arm in hospital.arms if arm.arm == hospital.recommendation.deploy)
    return environment.get_template("model-card.md.j2").render(results=results, hospital=hospital, arm=chosen)


def _in_markdown(value: object) -> str:
    """A value inside Markdown: no tag, no table cell and no line of its own."""
    return " ".join(str(value).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").split("\n"))
