"""`results.parquet`: one row for each hospital, arm and task, for those who compute further.

Columns: hospital, dataset, start, strategy, transfer, dapt_objective (empty without DAPT), label_fraction, task,
sufficient (whether the test set carries intervals), test_units, test_patients, test_positive_patients (null where it, or the
number without the finding, is a small cell; test_units and test_patients where they are), validation_auroc,
then for auroc, auprc and brier the value and `_lower` and `_upper` (null without interval), expected_calibration_error
(all measures are null where a class of their set is a small cell),
labelled_patients and film_passes (what ranks cost), trials, final_fits, device_seconds (measured, differs from run to run),
deploy (validation chose it), enough (the cheapest within the margin), and the metadata baseline's AUROC on the same task.
"""

from typing import Any

import pyarrow as pa

from chex_jobs.evaluation.reporting.shareable import shareable
from chex_jobs.evaluation.results.schema import (
    ArmResult,
    ArmTask,
    Estimate,
    HospitalResults,
    Results,
    Sufficiency,
)
from chex_jobs.evaluation.statistics.disclosure import hides_classes, is_small

SCHEMA = pa.schema(
    [
        ("hospital", pa.string()),
        ("dataset", pa.string()),
        ("start", pa.string()),
        ("strategy", pa.string()),
        ("transfer", pa.string()),
        ("dapt_objective", pa.string()),
        ("label_fraction", pa.float64()),
        ("task", pa.string()),
        ("sufficient", pa.bool_()),
        ("test_units", pa.int64()),
        ("test_patients", pa.int64()),
        ("test_positive_patients", pa.int64()),
        ("validation_auroc", pa.float64()),
        *(
            (f"{name}{end}", pa.float64())
            for name in ("auroc", "auprc", "brier")
            for end in ("", "_lower", "_upper")
        ),
        ("expected_calibration_error", pa.float64()),
        ("labelled_patients", pa.int64()),
        ("film_passes", pa.float64()),
        ("trials", pa.int64()),
        ("final_fits", pa.int64()),
        ("device_seconds", pa.float64()),
        ("deploy", pa.bool_()),
        ("enough", pa.bool_()),
        ("metadata_baseline_auroc", pa.float64()),
    ]
)


def results_table(results: Results) -> pa.Table:
    """All hospitals' arms and tasks as a table."""
    rows = [
        _row(hospital, arm, task)
        for hospital in shareable(results).hospitals
        for arm in hospital.arms
        for task in arm.tasks
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(hospital: HospitalResults, arm: ArmResult, task: ArmTask) -> dict[str, Any]:
    summary = next(each for each in hospital.tasks if each.task == task.task)
    baseline = next((each for each in hospital.metadata_baselines if each.task == task.task), None)
    return {
        "hospital": hospital.hospital,
        "dataset": hospital.dataset,
        "start": arm.arm.start,
        "strategy": arm.arm.strategy,
        "transfer": arm.transfer,
        "dapt_objective": arm.dapt_objective,
        "label_fraction": arm.arm.label_fraction,
        "task": task.task,
        "sufficient": summary.sufficiency == Sufficiency.SUFFICIENT,
        "test_units": None if is_small(summary.test.patients) else summary.test.units,
        "test_patients": None if is_small(summary.test.patients) else summary.test.patients,
        "test_positive_patients": None if hides_classes(summary.test) else summary.test.positive_patients,
        "validation_auroc": task.validation_auroc,
        **_ends("auroc", task.auroc),
        **_ends("auprc", task.auprc),
        **_ends("brier", task.brier),
        "expected_calibration_error": task.expected_calibration_error.value,
        "labelled_patients": arm.cost.labelled_patients,
        "film_passes": arm.cost.film_passes,
        "trials": arm.cost.trials,
        "final_fits": arm.cost.final_fits,
        "device_seconds": arm.cost.device_seconds,
        "deploy": arm.arm == hospital.recommendation.deploy,
        "enough": arm.arm == hospital.recommendation.enough,
        "metadata_baseline_auroc": baseline.auroc.value if baseline is not None else None,
    }


def _ends(name: str, value: Estimate) -> dict[str, float | None]:
    interval = value.interval
    return {
        name: value.value,
        f"{name}_lower": interval.lower if interval is not None else None,
        f"{name}_upper": interval.upper if interval is not None else None,
    }
