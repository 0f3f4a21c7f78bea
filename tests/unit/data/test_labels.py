"""From cells to labels: 1 yes, 0 no, NaN not known."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_api.dataset import Task
from chex_jobs.data.columns import PLAIN, ColumnFormat
from chex_jobs.data.errors import ColumnError
from chex_jobs.data.labels import labels

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
