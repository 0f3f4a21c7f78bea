"""Results as they may be passed on: whatever would tell how many patients a small cell holds is taken out.

An AUROC of 3 positives and 97 negatives is a multiple of 1/582, and hardly any other number of positives gives the same
few digits; an average precision of one positive is 1 divided by its rank. So a task of which a class is small has no
measures here, and neither has what is computed from them. Counts are words where they are printed (``report.rows``).
``metrics.json`` and ``results.json`` hold the exact record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from chex_jobs.evaluation.reporting.patient_flow import LABELLED
from chex_jobs.evaluation.results.schema import (
    ArmResult,
    ArmTask,
    Calibration,
    CrossHospitalCell,
    DeployedPerformance,
    Estimate,
    HospitalResults,
    MetadataBaseline,
    PatientFlow,
    Recommendation,
    Results,
)
from chex_jobs.evaluation.statistics.disclosure import hides_measures, is_small

SUPPRESSED = "Suppressed: with so few patients in a class the number would tell how many they are."
_NOTHING = Estimate(None, reason=SUPPRESSED)


def shareable(results: Results) -> Results:
    """The results of a job without what gives small cells away."""
    enough = {
        each.hospital: {task.task for task in each.tasks} - _few_tested(each) for each in results.hospitals
    }
    hospitals = (
        replace(each, cross_hospital=tuple(_cell(cell, enough) for cell in each.cross_hospital))
        for each in map(shareable_hospital, results.hospitals)
    )
    return replace(results, hospitals=tuple(hospitals))


def shareable_hospital(hospital: HospitalResults) -> HospitalResults:
    """The same of one hospital, but for what its models reach elsewhere: that is for the other hospital to hide."""
    tested = _few_tested(hospital)
    validated = {each.task for each in hospital.tasks if hides_measures(each.validate)}
    advice = hospital.recommendation
    return replace(
        hospital,
        arms=tuple(_arm(each, tested, validated, advice) for each in hospital.arms),
        recommendation=replace(
            advice,
            deployed_performance=_performances(advice.deployed_performance, tested),
            enough_performance=_performances(advice.enough_performance, tested),
        ),
        metadata_baselines=tuple(_baseline(each, tested) for each in hospital.metadata_baselines),
        calibrations=tuple(_calibration(each, tested) for each in hospital.calibrations),
        flow=_flow(hospital.flow),
    )


def _few_tested(hospital: HospitalResults) -> set[str]:
    return {each.task for each in hospital.tasks if hides_measures(each.test)}


def _arm(
    arm: ArmResult, tested: Collection[str], validated: Collection[str], advice: Recommendation
) -> ArmResult:
    """A mean over tasks is taken out with any of its parts: the others would give it away."""
    averaged = advice.tasks or [each.task for each in arm.tasks]
    return replace(
        arm,
        validation_score=None if validated else arm.validation_score,
        mean_auroc=_NOTHING if any(task in tested for task in averaged) else arm.mean_auroc,
        tasks=tuple(_arm_task(each, tested, validated) for each in arm.tasks),
    )


def _arm_task(found: ArmTask, tested: Collection[str], validated: Collection[str]) -> ArmTask:
    if found.task in validated:
        replicates = tuple(replace(each, validation_auroc=None) for each in found.replicates)
        found = replace(found, validation_auroc=None, replicates=replicates)
    if found.task not in tested:
        return found
    return replace(
        found,
        auroc=_NOTHING,
        auprc=_NOTHING,
        brier=_NOTHING,
        expected_calibration_error=_NOTHING,
        replicates=tuple(replace(each, test_auroc=None, test_auprc=None) for each in found.replicates),
    )


def _performances(
    found: tuple[DeployedPerformance, ...], tested: Collection[str]
) -> tuple[DeployedPerformance, ...]:
    return tuple(replace(each, auroc=_NOTHING) if each.task in tested else each for each in found)


def _baseline(found: MetadataBaseline, tested: Collection[str]) -> MetadataBaseline:
    if found.task not in tested or found.auroc.value is None:
        return found
    return replace(found, auroc=_NOTHING, auprc=_NOTHING, gain=_NOTHING, reason=SUPPRESSED)


def _calibration(found: Calibration, tested: Collection[str]) -> Calibration:
    if found.task not in tested:
        return found
    return replace(
        found, brier=_NOTHING, expected_calibration_error=None, slope=None, intercept=None, bins=()
    )


def _cell(cell: CrossHospitalCell, enough: Mapping[str, Collection[str]]) -> CrossHospitalCell:
    """Of a hospital that chose nothing itself no counts are known; an interval says that there were enough patients."""

    def shown(value: Estimate, hospital: str) -> Estimate:
        return value if value.interval is not None or cell.task in enough.get(hospital, ()) else _NOTHING

    return replace(
        cell, auroc=shown(cell.auroc, cell.tested_on), own_auroc=shown(cell.own_auroc, cell.trained_on)
    )


def _flow(flow: PatientFlow) -> PatientFlow:
    """Without the labelled patients of a task where they are few."""
    kept = (
        each
        for each in flow.steps
        if not (each.name.startswith(LABELLED) and each.patients is not None and is_small(each.patients))
    )
    return replace(flow, steps=tuple(kept))
