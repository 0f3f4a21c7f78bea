"""From cells to labels: 1 yes, 0 no, NaN not known."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_api.dataset import Task
from chex_jobs.data.errors import ColumnError
from chex_jobs.data.labels.task_labels import labels, read_labels
from chex_jobs.data.tables.columns import PLAIN, ColumnFormat

NAN = math.nan
PIPES = ColumnFormat(separators="|", unknown=frozenset({""}))
FINDING = ColumnFormat(separators="/,", unknown=frozenset({"", "todo", "unknown"}))


def task(positive: dict[str, Any], **changes: Any) -> Task:
    return Task.parse({"name": "task", "column": "column", "positive": positive} | changes)


def labelled(
    positive: dict[str, Any], cells: list[str], column_format: ColumnFormat = PLAIN, **changes: Any
) -> list[float]:
    return labels(task(positive, **changes), cells, column_format).tolist()


def assert_labels(found: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(np.array(found), np.array(expected))


def test_present_is_anything_that_is_not_blank_even_a_zero_or_a_minus_one():
    assert_labels(labelled({"present": {}}, ["", "  ", "nan", "0", "-1", "x"]), [0, 0, 0, 1, 1, 1])


def test_blank_cells_are_unknown_where_the_task_ignores_them():
    assert_labels(labelled({"present": {}}, ["", "x"], blank="Ignore"), [NAN, 1])
    assert_labels(labelled({"values": ["a"]}, ["", "a", "b"], blank="Ignore"), [NAN, 1, 0])


def test_values_compare_numbers_as_numbers_and_words_without_case():
    assert_labels(labelled({"values": ["1"]}, ["1", "1.0", "0", "10", ""]), [1, 1, 0, 0, 0])
    assert_labels(labelled({"values": ["Yes"]}, [" Yes ", "yes", "YES", "No"]), [1, 1, 1, 0])
    assert_labels(labelled({"values": ["Ödem"]}, ["o\u0308dem", "ÖDEM", "Ödeme"]), [1, 1, 0])


@pytest.mark.parametrize(("uncertain", "meaning"), [("Ignore", NAN), ("Negative", 0), ("Positive", 1)])
def test_minus_one_means_what_the_task_says_about_uncertain_values(uncertain: str, meaning: float):
    found = labelled({"values": ["1"]}, ["1.0", "0.0", "-1.0", ""], uncertain=uncertain)
    assert_labels(found, [1, 0, meaning, 0])


def test_a_value_that_is_listed_as_positive_is_positive_even_if_it_is_also_uncertain():
    assert_labels(labelled({"values": ["1", "-1"]}, ["1", "-1", "0"]), [1, 1, 0])


def test_a_range_is_closed_and_what_is_no_number_is_unknown():
    found = labelled({"range": {"min": 1.0, "max": 2.0}}, ["0.9", "1", "2", "2.1", "-1", "<5", ""])
    assert_labels(found, [0, 1, 1, 0, 0, NAN, NAN])


def test_what_was_not_measured_is_in_no_range_and_outside_none_unless_the_task_says_so():
    closed = {"range": {"max": 7.3}}
    assert_labels(labelled(closed, ["7.2", "7.4", "", " ", "nan"]), [1, 0, NAN, NAN, NAN])
    assert_labels(labelled(closed, ["7.2", ""], blank="Negative"), [1, 0])


def test_a_blank_cell_is_a_no_where_the_column_lists_what_was_found():
    assert_labels(labelled({"values": ["Effusion"]}, ["Effusion", ""]), [1, 0])
    assert_labels(labelled({"present": {}}, ["3", ""]), [1, 0])


def test_a_range_with_one_end_is_open_at_the_other():
    assert_labels(labelled({"range": {"min": 400.0}}, ["399", "400", "1e9"]), [0, 1, 1])


def test_a_cell_that_lists_findings_holds_each_of_them():
    cells = ["Effusion|Edema", "Edema", "No Finding", "Effusion"]
    assert_labels(labelled({"values": ["Effusion"]}, cells, PIPES), [1, 0, 0, 1])


def test_a_finding_is_never_found_as_a_part_of_another_word():
    cells = ["Pleural_Thickening", "Pleural", ""]
    assert_labels(labelled({"values": ["Pleural"]}, cells, PIPES), [0, 1, NAN])


def test_covid_findings_part_at_slashes_and_commas_and_todo_is_unknown():
    cells = ["Pneumonia/Viral/COVID-19", "COVID-19, ARDS", "todo", "Unknown", "", "No Finding"]
    assert_labels(labelled({"values": ["COVID-19"]}, cells, FINDING), [1, 1, NAN, NAN, NAN, 0])


def test_a_value_that_occurs_nowhere_is_an_error_that_names_the_nearest():
    with pytest.raises(
        ColumnError, match=r"none of positive.values \['Efusion'\] occurs in column 'column'.*'Effusion'"
    ):
        labelled({"values": ["Efusion"]}, ["Effusion|Edema", "Mass"], PIPES)


def test_the_values_of_a_column_that_names_patients_are_not_told():
    cells = [f"Jane Doe {number}" for number in range(40)]
    with pytest.raises(ColumnError, match="it holds 40 different values") as caught:
        labelled({"values": ["Effusion"]}, cells)
    assert "Doe" not in str(caught.value)


def test_the_values_of_a_column_that_sorts_films_are_told_however_they_are_called():
    with pytest.raises(ColumnError, match="the nearest value there is 'no'"):
        labelled({"values": ["1"]}, ["no"] * 40)


def test_a_range_over_words_is_an_error():
    with pytest.raises(ColumnError, match="needs numbers, and column 'column' holds none"):
        labelled({"range": {"min": 1.0}}, ["high", "low"])


def test_a_column_that_is_blank_throughout_is_no_error():
    assert_labels(labelled({"values": ["1"]}, ["", ""]), [0, 0])


CELLS = st.sampled_from(["", " ", "nan", "0", "1", "1.0", "-1", "-1.0", "a", "a|b", "todo", "7"])


@given(
    st.lists(CELLS, min_size=1),
    st.sampled_from(["Negative", "Ignore"]),
    st.sampled_from(["Ignore", "Negative", "Positive"]),
)
def test_a_label_depends_on_its_own_cell_alone(cells: list[str], blank: str, uncertain: str):
    asked = task({"values": ["1", "a"]}, blank=blank, uncertain=uncertain)
    together = labels(asked, [*cells, "1"], FINDING)
    alone = [labels(asked, [cell, "1"], FINDING)[0] for cell in cells]
    np.testing.assert_array_equal(together[:-1], alone)
    assert set(np.unique(together[~np.isnan(together)])) <= {0.0, 1.0}


@pytest.mark.parametrize("spelling", ["NA", "N/A", "null", "None", "#N/A", "<NA>", "NaT", ".", "k.A.", "NaN"])
def test_a_cell_that_is_a_spelling_of_missing_is_blank(spelling: str):
    assert_labels(labelled({"present": {}}, [spelling, "x"], blank="Ignore"), [NAN, 1])
    assert_labels(labelled({"range": {"min": 1.0}}, [spelling, "2"], blank="Ignore"), [NAN, 1])


def test_a_spelling_of_missing_that_a_task_names_is_a_value_to_it():
    assert_labels(labelled({"values": ["None"]}, ["None", "Mild", ""], blank="Ignore"), [1, 0, NAN])


def test_the_manifest_may_say_what_is_missing():
    column_format = ColumnFormat(missing=frozenset({"999"}))
    assert_labels(labelled({"present": {}}, ["999", "NA", "1"], column_format, blank="Ignore"), [NAN, 1, 1])


def test_present_but_for_some_values():
    found = labelled({"present": {"except": ["-1", "No Finding"]}}, ["-1.0", "no finding", "3", ""])
    assert_labels(found, [0, 0, 1, 0])


def test_numbers_with_a_decimal_comma_are_read_where_the_manifest_says_so():
    column_format = ColumnFormat(decimal_mark="Comma")
    cells = ["7,3", "7,41", "1.007,3", "-1", "7"]
    assert_labels(labelled({"range": {"max": 7.35}}, cells, column_format), [1, 0, 0, 1, 1])


@pytest.mark.parametrize(("mark", "wrong", "right"), [("Point", "7,41", "7.3"), ("Comma", "7.41", "7,3")])
def test_numbers_with_the_other_mark_are_refused_with_their_count(mark: Any, wrong: str, right: str):
    with pytest.raises(ColumnError, match=r"2 cells of column 'column' are numbers .*\(row 2\).*decimalMark"):
        labelled({"range": {"max": 7.35}}, [right, wrong, wrong], ColumnFormat(decimal_mark=mark))


@pytest.mark.parametrize(
    ("mark", "cells"),
    [("Point", ["1", "1,0", "0,0"]), ("Comma", ["1", "1.0", "0.0"]), ("Point", ["1", "0", "-1,0"])],
)
def test_a_number_that_only_its_decimal_mark_keeps_from_a_value_of_the_task_is_no_silent_no(
    mark: Any, cells: list[str]
):
    with pytest.raises(ColumnError, match=r"1 cells of column 'column' are numbers .*decimalMark"):
        labelled({"values": ["1"]}, cells, ColumnFormat(decimal_mark=mark))


@pytest.mark.parametrize("cell", ["\u200b1", "１", "1\ufeff", "1\xad"])
def test_what_nobody_sees_keeps_no_cell_from_a_value(cell: str):
    assert_labels(labelled({"values": ["1"]}, [cell, "1", "0"]), [1, 1, 0])


@pytest.mark.parametrize("separators", [", ", " ,", "; ,"])
def test_a_blank_beside_a_separator_parts_no_words(separators: str):
    cells = ["Pleural effusion, Mass", "Pleural effusion", "effusion", "Mass"]
    found = labelled({"values": ["Pleural effusion"]}, cells, ColumnFormat(separators=separators))
    assert_labels(found, [1, 1, 0, 0])
    assert_labels(labelled({"values": ["1"]}, ["0 1", "0"], ColumnFormat(separators=" ")), [1, 0])


@pytest.mark.parametrize("cell", ["1_0", "١٢", "0x10", "infinity", "1e999", "<5"])
def test_what_python_alone_takes_for_a_number_is_none(cell: str):
    assert_labels(labelled({"range": {"min": 1.0}}, [cell, "2"]), [NAN, 1])


@pytest.mark.parametrize("separator", ["|", ";", ", ", "/", "\n"])
def test_a_list_that_nobody_declared_is_refused_with_its_count_and_row(separator: str):
    cells = ["Mass", separator.join(("Effusion", "Mass")), separator.join(("Edema", "effusion")), "Effusion"]
    with pytest.raises(
        ColumnError, match=r"2 cells of column 'column' list a value .*\(row 2\).*source\.table\.lists"
    ):
        labelled({"values": ["Effusion"]}, cells)


def test_a_cell_that_is_said_to_be_one_value_is_no_list():
    assert_labels(labelled({"values": ["a"]}, ["a", "a|b"], ColumnFormat(is_one_value=True)), [1, 0])


def test_dates_and_times_are_no_lists_of_numbers():
    assert_labels(labelled({"values": ["1"]}, ["1", "1/2/2020", "10:1", "1-1"]), [1, 0, 0, 0])


def test_lists_as_programs_write_them_lose_brackets_and_quotes():
    cells = ["['Effusion', 'Mass']", '["Mass"]', "[]", "Effusion"]
    assert_labels(labelled({"values": ["Effusion"]}, cells, ColumnFormat(separators=",")), [1, 0, 0, 1])


def test_what_is_neither_yes_nor_no_is_unknown_and_counted_where_both_are_listed():
    told = read_labels(
        task({"values": ["yes"]}, negativeValues=["no"]), ["yes", "no", "perhaps", "Perhaps"] + ["no"] * 60
    )
    assert_labels(told.values.tolist()[:4], [1, 0, NAN, NAN])
    found = [(each.kind, each.spelling, each.count, each.row) for each in told.findings]
    assert found == [("NotUnderstood", "Perhaps", 1, 4), ("NotUnderstood", "perhaps", 1, 3)]


def test_another_word_for_yes_in_a_column_of_yes_and_no_is_unknown_and_told():
    told = read_labels(task({"values": ["Yes"]}), ["yes", "no", "true", "Ja", *["no"] * 80])
    assert_labels(told.values.tolist()[:4], [1, 0, NAN, NAN])
    assert [(each.kind, each.spelling) for each in told.findings] == [
        ("NotUnderstood", "Ja"),
        ("NotUnderstood", "true"),
    ]


def test_values_that_nothing_names_are_told_as_counted_as_no_most_frequent_first():
    told = read_labels(
        task({"values": ["Effusion"]}), ["Effusion", "Mass", "Edema", "Mass", *["Effusion"] * 60]
    )
    assert [(each.kind, each.spelling, each.count, each.row) for each in told.findings] == [
        ("CountedAsNo", "Mass", 2, 2),
        ("CountedAsNo", "Edema", 1, 3),
    ]


def test_of_a_column_that_may_name_people_only_numbers_are_told():
    told = read_labels(task({"values": ["Effusion"]}), ["Effusion", "Jane Doe", "Joe Roe"])
    assert [(each.spelling, each.count) for each in told.findings] == [("", 2)]
    assert "Doe" not in str(told.findings)


def test_missing_cells_are_counted_by_spelling_with_the_numbers_of_their_rows():
    told = read_labels(task({"present": {}}), ["NA", "x", "", "NA"], row_numbers=[11, 12, 13, 14])
    assert [(each.kind, each.spelling, each.count, each.row) for each in told.findings] == [
        ("Missing", "NA", 2, 11),
        ("Missing", "", 1, 13),
    ]


def test_of_a_column_of_lists_the_values_are_told_not_their_combinations():
    told = read_labels(task({"values": ["Effusion"]}), ["Mass|Edema", "Mass", *["Effusion"] * 60], PIPES)
    assert [(each.spelling, each.count, each.row) for each in told.findings] == [
        ("Mass", 2, 1),
        ("Edema", 1, 1),
    ]
