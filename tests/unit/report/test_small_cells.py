"""A small cell stands nowhere: not on the page, not on the card, not in the table, and not by subtraction or division."""

import dataclasses

import pytest

from chex_jobs.evaluation.reporting.shareable import shareable, shareable_hospital
from chex_jobs.evaluation.results.schema import (
    ClassCounts,
    CrossHospitalCell,
    Estimate,
    FlowStep,
    HospitalResults,
    Interval,
    Results,
)
from chex_jobs.report import numbers
from chex_jobs.report.model_card import render_model_card
from chex_jobs.report.page import prevalence_of, render_page
from chex_jobs.report.rows import ShownCounts, ShownRates, shown_counts, shown_rates
from chex_jobs.report.table import results_table
from chex_jobs.stages.evaluate import summary_of


def with_test(results: Results, counts: ClassCounts) -> tuple[Results, HospitalResults]:
    """The second hospital with these test patients for every task."""
    south = results.hospitals[1]
    tasks = tuple(dataclasses.replace(task, test=counts) for task in south.tasks)
    south = dataclasses.replace(south, tasks=tasks)
    return dataclasses.replace(results, hospitals=(south,)), south


FEW_POSITIVE = ClassCounts(
    units=253, positive_units=27, patients=151, positive_patients=7, negative_patients=144
)
FEW_WITHOUT = ClassCounts(
    units=253, positive_units=190, patients=151, positive_patients=146, negative_patients=60
)
FEW_NEGATIVE = ClassCounts(
    units=253, positive_units=226, patients=151, positive_patients=144, negative_patients=7
)


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        (ClassCounts(40, 20, 40, 20, 20), ShownCounts("40", "40", "20", "20")),
        (FEW_POSITIVE, ShownCounts("253", "151", numbers.FEW, numbers.HIDDEN)),
        (FEW_NEGATIVE, ShownCounts("253", "151", numbers.HIDDEN, numbers.FEW)),
        (ClassCounts(9, 4, 8, 4, 4), ShownCounts(numbers.HIDDEN, numbers.FEW, numbers.FEW, numbers.FEW)),
        (ClassCounts(40, 0, 40, 0, 40), ShownCounts("40", "40", "0", "40")),
        (FEW_WITHOUT, ShownCounts("253", "151", numbers.HIDDEN, numbers.FEW)),
        (ClassCounts(90, 30, 50, 23, 30), ShownCounts("90", "50", "23", "27")),
    ],
    ids=["enough", "few with", "few negative", "few at all", "none with", "few without any", "three of both"],
)
def test_counts_that_would_show_a_small_cell_are_words(counts: ClassCounts, shown: ShownCounts) -> None:
    assert shown_counts(counts) == shown


@pytest.mark.parametrize("counts", [FEW_POSITIVE, FEW_NEGATIVE], ids=["few with", "few without"])
def test_page_and_card_show_neither_the_small_class_nor_what_gives_it_away(
    results: Results, counts: ClassCounts
) -> None:
    changed, south = with_test(results, counts)
    for text in (render_page(changed, {}), render_model_card(changed, south)):
        assert ">144<" not in text
        assert ">7<" not in text
        assert "(7)" not in text
        assert "(144)" not in text
        assert f"{counts.positive_units / counts.units:.3f}" not in text
    assert prevalence_of(south.tasks[0]) is None


@pytest.mark.parametrize("counts", [FEW_POSITIVE, FEW_NEGATIVE], ids=["few with", "few without"])
def test_the_table_of_results_holds_no_small_cell(results: Results, counts: ClassCounts) -> None:
    changed, _ = with_test(results, counts)
    for row in results_table(changed).to_pylist():
        assert row["test_positive_patients"] is None
        assert row["test_patients"] == counts.patients


def measures_of(results: Results, number: float) -> Results:
    """The results with every measure on test and validation patients replaced by one number."""

    def marked(value: object) -> object:
        if isinstance(value, Estimate) and value.value is not None:
            return Estimate(number, reason="Insufficient data.")
        if isinstance(value, tuple):
            return tuple(map(marked, value))
        if not dataclasses.is_dataclass(value) or isinstance(value, type):
            return value
        changed = {each.name: marked(getattr(value, each.name)) for each in dataclasses.fields(value)}
        changed |= {
            name: number
            for name in (
                "validation_score",
                "validation_auroc",
                "test_auroc",
                "test_auprc",
                "slope",
                "intercept",
            )
            if name in changed
        }
        return dataclasses.replace(value, **changed)

    south = dataclasses.replace(results.hospitals[0], curves=(), subgroups=())
    return dataclasses.replace(results, hospitals=(marked(south),))


@pytest.mark.parametrize("counts", [FEW_POSITIVE, FEW_NEGATIVE], ids=["few with", "few without"])
def test_no_measure_is_shown_that_tells_how_few_patients_of_a_class_there_are(
    results: Results, counts: ClassCounts
) -> None:
    """An AUROC of few patients is a fraction that hardly another number of them gives."""
    marked = measures_of(results, 0.4321)
    tasks = tuple(
        dataclasses.replace(task, test=counts, validate=counts) for task in marked.hospitals[0].tasks
    )
    advice = dataclasses.replace(marked.hospitals[0].recommendation, tasks=())
    hospital = dataclasses.replace(
        marked.hospitals[0], tasks=tasks, recommendation=advice, calibrations=(), cross_hospital=()
    )
    changed = dataclasses.replace(marked, hospitals=(hospital,))
    assert "0.432" in render_page(marked, {})
    for text in (render_page(changed, {}), render_model_card(changed, hospital), str(summary_of(hospital))):
        assert "0.432" not in text
        assert numbers.HIDDEN in text
    measured = (
        "auroc",
        "auprc",
        "brier",
        "expected_calibration_error",
        "validation_auroc",
        "metadata_baseline_auroc",
    )
    for row in results_table(changed).to_pylist():
        assert [row[name] for name in measured] == [None] * len(measured)


def test_a_mean_over_tasks_is_hidden_with_any_of_its_parts(results: Results) -> None:
    north = results.hospitals[0]
    first, *others = north.tasks
    tasks = (dataclasses.replace(first, test=FEW_POSITIVE), *others)
    advice = dataclasses.replace(north.recommendation, tasks=())
    hospital = dataclasses.replace(north, tasks=tasks, recommendation=advice)
    assert all(arm.mean_auroc.value is None for arm in shareable_hospital(hospital).arms)
    alone = dataclasses.replace(advice, tasks=(others[0].task,))
    hospital = dataclasses.replace(hospital, recommendation=alone)
    assert shareable_hospital(hospital).arms[0].mean_auroc == north.arms[0].mean_auroc


def test_the_matrix_hides_what_the_hospital_that_was_tested_hides(results: Results) -> None:
    changed, south = with_test(results, FEW_POSITIVE)
    north = results.hospitals[0]
    cell = CrossHospitalCell(
        "north",
        south.hospital,
        south.tasks[0].task,
        north.arms[0].arm,
        Estimate(0.321),
        Estimate(0.9, Interval(0.8, 0.95, 0.95, "")),
    )
    north = dataclasses.replace(north, cross_hospital=(cell,))
    both = dataclasses.replace(changed, hospitals=(north, south))
    (shown,) = shareable(both).hospitals[0].cross_hospital
    assert (shown.auroc.value, shown.own_auroc.value) == (None, 0.9)
    without_counts = dataclasses.replace(
        both, hospitals=(north, dataclasses.replace(south, tasks=(), arms=()))
    )
    assert shareable(without_counts).hospitals[0].cross_hospital[0].auroc.value is None


def test_the_patient_flow_leaves_out_tasks_with_few_labelled_patients(results: Results) -> None:
    south = results.hospitals[1]
    steps = (
        FlowStep("Test", 60, 40, 0, ""),
        FlowStep("TestLabelled:icu", 9, 7, 0, ""),
        FlowStep("TestLabelled:ph", 59, 39, 0, ""),
    )
    flowing = dataclasses.replace(south, flow=dataclasses.replace(south.flow, steps=steps))
    assert [each.name for each in shareable_hospital(flowing).flow.steps] == ["Test", "TestLabelled:ph"]


def test_the_table_of_results_hides_how_few_patients_there_are(results: Results) -> None:
    changed, _ = with_test(results, ClassCounts(9, 4, 8, 4, 4))
    for row in results_table(changed).to_pylist():
        assert (row["test_units"], row["test_patients"], row["test_positive_patients"]) == (None, None, None)


def test_rates_of_a_small_class_are_hidden_as_their_fractions_tell_its_size(results: Results) -> None:
    """Six of seven is 0.857, and hardly anything else is."""
    south = results.hospitals[1]
    point = dataclasses.replace(
        south.calibrations[0].operating_points[0],
        sensitivity=Estimate(6 / 7),
        validation_sensitivity=5 / 7,
    )
    hidden = numbers.HIDDEN
    task = dataclasses.replace(south.tasks[0], test=FEW_POSITIVE, validate=FEW_POSITIVE)
    assert shown_rates(task, point) == ShownRates(hidden, hidden, hidden, hidden)
    only_test = shown_rates(dataclasses.replace(task, validate=south.tasks[0].validate), point)
    assert (only_test.sensitivity, only_test.promised_sensitivity) == (hidden, "0.714")
    calibrations = tuple(dataclasses.replace(each, operating_points=(point,)) for each in south.calibrations)
    tasks = tuple(dataclasses.replace(each, test=FEW_POSITIVE, validate=FEW_POSITIVE) for each in south.tasks)
    changed = dataclasses.replace(south, calibrations=calibrations, tasks=tasks)
    page = render_page(dataclasses.replace(results, hospitals=(changed,)), {})
    table = page.split("<h3>Operating points</h3>")[1].split("</table>")[0]
    assert "0.857" not in table
    assert "0.714" not in table
    assert hidden in table
