"""`results.parquet`."""

import io

import pyarrow.parquet as pq

from chex_jobs.evaluation.results.schema import Results
from chex_jobs.report.table import SCHEMA, results_table


def test_there_is_one_row_for_each_hospital_arm_and_task_in_the_declared_columns(results: Results) -> None:
    file = io.BytesIO()
    pq.write_table(results_table(results), file)
    table = pq.read_table(file)
    assert table.schema.equals(SCHEMA)
    found = [
        (row["hospital"], row["start"], row["strategy"], row["label_fraction"], row["task"])
        for row in table.to_pylist()
    ]
    assert found == [
        (hospital.hospital, arm.arm.start, arm.arm.strategy, arm.arm.label_fraction, task.task)
        for hospital in results.hospitals
        for arm in hospital.arms
        for task in arm.tasks
    ]


def test_numbers_are_the_results_own_and_intervals_are_null_where_there_are_none(results: Results) -> None:
    rows = iter(results_table(results).to_pylist())
    for hospital in results.hospitals:
        for arm in hospital.arms:
            for task in arm.tasks:
                row = next(rows)
                for name, estimate in (("auroc", task.auroc), ("auprc", task.auprc), ("brier", task.brier)):
                    interval = estimate.interval
                    assert row[name] == estimate.value
                    assert row[f"{name}_lower"] == (interval.lower if interval else None)
                    assert row[f"{name}_upper"] == (interval.upper if interval else None)
                assert row["film_passes"] == arm.cost.film_passes


def test_each_hospital_has_one_arm_to_deploy_and_at_most_one_that_is_enough(results: Results) -> None:
    rows = results_table(results).to_pylist()
    for hospital in results.hospitals:
        for flag, expected in (
            ("deploy", hospital.recommendation.deploy),
            ("enough", hospital.recommendation.enough),
        ):
            marked = {
                (row["start"], row["strategy"], row["label_fraction"])
                for row in rows
                if row["hospital"] == hospital.hospital and row[flag]
            }
            assert marked == (
                {(expected.start, expected.strategy, expected.label_fraction)} if expected else set()
            )
