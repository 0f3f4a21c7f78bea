"""What finished stages report of hospitals, as a status holds it. Pure."""

from collections.abc import Iterable, Mapping

from chex_api.base import LONGEST_URI
from chex_api.stage import StageResult
from chex_api.status import HospitalStatus, StageStatus


def hospitals_with(
    before: tuple[HospitalStatus, ...], results: Mapping[str, StageResult], stages: Iterable[StageStatus]
) -> tuple[HospitalStatus, ...]:
    """The hospitals whose evaluation is finished.

    Args:
        before: as in the last status.
        results: what stages have reported since, by the stage's name.
        stages: as they are.
    """
    held = {hospital.name: hospital for hospital in before}
    evaluated: list[HospitalStatus] = []
    for stage in stages:
        kind, _, name = stage.name.partition("/")
        if kind == "evaluate" and stage.state == "Finished":
            result = results.get(stage.name)
            hospital = _hospital(name, result) if result is not None else held.get(name)
            evaluated += [hospital] if hospital is not None else []
    return tuple(evaluated)


def best_line(hospitals: tuple[HospitalStatus, ...]) -> str:
    """The hospitals' recommendations in one line; the first one and a count where there are several."""
    recommendations = [
        f"{hospital.name}: {hospital.recommended}" + (f" {hospital.auroc}" if hospital.auroc else "")
        for hospital in hospitals
        if hospital.recommended
    ]
    if not recommendations:
        return ""
    more = f" (+{len(recommendations) - 1})" if len(recommendations) > 1 else ""
    return recommendations[0][: 250 - len(more)] + more


def report_uri(results: Mapping[str, StageResult]) -> str:
    """Where the page lies; empty before there is one."""
    for label, result in results.items():
        if label.startswith("report/"):
            page = str(result.summary.get("page", ""))
            return page if len(page) <= LONGEST_URI else ""
    return ""


def _hospital(name: str, result: StageResult) -> HospitalStatus:
    summary = result.summary
    recommended = summary.get("recommended") or summary.get("verdict") or ""
    return HospitalStatus(
        name=name,
        recommended=str(recommended)[:256],
        verdict=str(summary.get("verdict") or "")[:64],
        auroc=_number(summary.get("auroc")),
        auroc_low=_number(summary.get("aurocLow")),
        auroc_high=_number(summary.get("aurocHigh")),
    )


def _number(value: object) -> str | None:
    """As a status holds it; None for what is no measure from 0 to 1. Summaries come from images of any version."""
    is_measure = isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0
    return f"{value:.3f}" if is_measure else None
