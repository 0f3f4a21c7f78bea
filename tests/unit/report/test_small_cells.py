"""A small cell stands nowhere: not on the page, not on the card, not in the table, and not by subtraction or division."""

import dataclasses

import pytest

from chex_jobs.evaluation.results import ClassCounts, Estimate, HospitalResults, Results
from chex_jobs.report import numbers
from chex_jobs.report.model_card import render_model_card
from chex_jobs.report.page import prevalence_of, render_page
from chex_jobs.report.rows import ShownCounts, ShownRates, shown_counts, shown_rates
from chex_jobs.report.table import results_table


def with_test(results: Results, counts: ClassCounts) -> tuple[Results, HospitalResults]:
    """The second hospital with these test patients for every task."""
    south = results.hospitals[1]
    tasks = tuple(dataclasses.replace(task, test=counts) for task in south.tasks)
    south = dataclasses.replace(south, tasks=tasks)
    return dataclasses.replace(results, hospitals=(south,)), south


FEW_POSITIVE = ClassCounts(
    units=253, positive_units=27, patients=151, positive_patients=7, negative_patients=144
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
    ],
    ids=["enough", "few with", "few without", "few at all", "none with"],
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
