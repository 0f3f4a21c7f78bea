"""Several rows of one film, filters and findings, as a declaration shows them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chex_api.dataset import Dataset
from chex_jobs.data.errors import ColumnError, SourceError
from chex_jobs.data.sources.declaration import Declaration, declare
from tests.unit.data.films import drawn_film, hospital_dataset, png, write_csv

Rows = list[dict[str, Any]]


def readers(root: Path, *labels: str) -> Rows:
    """A film of two patients each, with a row for each reader: `labels` of film 0, then one sure film."""
    (root / "films").mkdir(parents=True)
    for number in range(2):
        (root / "films" / f"{number}.png").write_bytes(png(drawn_film(number)))
    rows: Rows = [
        {"file": "0.png", "patient": "a", "icu": label, "reader": number}
        for number, label in enumerate(labels)
    ]
    return [*rows, {"file": "1.png", "patient": "b", "icu": "1", "reader": 9}]


def dataset(root: Path, rows: Rows, table: dict[str, Any] | None = None, **task: Any) -> Dataset:
    write_csv(root / "data.csv", rows)
    plain = hospital_dataset(root).plain()
    plain["source"]["table"] = {
        "uri": root.as_uri(),
        "file": "data.csv",
        "image": {"column": "file", "path": "films/{}"},
        "patientColumn": "patient",
        **(table or {}),
    }
    plain["tasks"] = [
        {"name": "icu", "column": "icu", "positive": {"values": ["1"]}, "blank": "Ignore", **task}
    ]
    return Dataset.parse(plain)


def declared(root: Path, rows: Rows, table: dict[str, Any] | None = None, **task: Any) -> Declaration:
    return declare(dataset(root, rows, table, **task))


@pytest.mark.parametrize(
    ("merge", "labels", "expected"),
    [
        ({"any": {}}, "001", 1),
        ({"any": {}}, "000", 0),
        ({"all": {}}, "110", 0),
        ({"all": {}}, "111", 1),
        ({"majority": {}}, "110", 1),
        ({"majority": {}}, "100", 0),
        ({"majority": {}}, "10", np.nan),
        ({"meanAbove": 0.6}, "110", 1),
        ({"meanAbove": 0.7}, "110", 0),
        ({"any": {}}, " 0", 0),
        ({"all": {}}, " 1", 1),
        ({"all": {}}, "  ", np.nan),
    ],
)
def test_rows_of_a_film_are_merged_as_the_task_says(
    tmp_path: Path, merge: dict[str, Any], labels: str, expected: float
):
    found = declared(tmp_path, readers(tmp_path, *(label.strip() for label in labels)), merge=merge)
    np.testing.assert_array_equal(found.labels["icu"], [expected, 1])
    assert [film.key for film in found.table.films] == ["films/0.png", "films/1.png"]


@pytest.mark.parametrize("order", [1, -1])
def test_rows_that_disagree_are_refused_whichever_comes_first(tmp_path: Path, order: int):
    rows = readers(tmp_path, "0", "1")
    with pytest.raises(ColumnError, match=r"task 'icu': 1 films have several rows that disagree .*merge"):
        declared(tmp_path, rows[::order])


def test_rows_that_agree_need_no_merge_and_are_told(tmp_path: Path):
    found = declared(tmp_path, readers(tmp_path, "1", "1"))
    assert found.labels["icu"].tolist() == [1, 1]
    (several,) = [each for each in found.findings if each.reason == "films with several rows"]
    assert (several.count, several.row) == (1, 1)


def test_rows_of_one_film_that_name_two_patients_are_refused(tmp_path: Path):
    rows = readers(tmp_path, "1", "1")
    rows[1]["patient"] = "c"
    with pytest.raises(SourceError, match=r"1 films have rows with different patients \(row 1\)"):
        declared(tmp_path, rows)


@pytest.mark.parametrize("view", ["lateral", "", "oblique"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_film_whose_rows_name_several_views_is_refused_though_only_one_is_asked_for(
    tmp_path: Path, view: str, order: int
):
    rows = readers(tmp_path, "1", "0")
    for row, told in zip(rows, ("ap", view, "ap"), strict=True):
        row["view"] = told
    table = {"view": {"column": "view", "lateral": ["lateral"]}}
    with pytest.raises(SourceError, match=r"1 films have rows with different views"):
        declared(tmp_path, rows[::order], table, merge={"all": {}})


def test_films_of_other_views_may_contradict_themselves(tmp_path: Path):
    rows = [
        row | {"view": "lateral", "sex": number} for number, row in enumerate(readers(tmp_path, "1", "1"))
    ]
    rows[-1]["view"] = "ap"
    table = {"view": {"column": "view", "lateral": ["lateral"]}, "subgroupColumns": ["sex"]}
    assert len(declared(tmp_path, rows, table).table.films) == 1


def test_a_study_that_is_spelled_in_two_ways_is_one(tmp_path: Path):
    rows = readers(tmp_path, "1", "1")
    for row, study in zip(rows, ("100", "100.0", "S\u20117"), strict=True):
        row["study"] = study
    films = declared(tmp_path, rows, {"studyColumn": "study"}).table.films
    assert list(films.studies) == ["100", "s-7"]


def test_a_tasks_where_says_which_rows_answer_it_and_a_film_without_one_is_blank(tmp_path: Path):
    rows = readers(tmp_path, "0", "1")
    where = [{"column": "reader", "values": ["1"]}]
    found = declared(tmp_path, rows, where=where).labels["icu"]
    np.testing.assert_array_equal(found, [1, np.nan])


def test_films_without_a_row_that_answers_a_task_are_counted(tmp_path: Path):
    where = [{"column": "reader", "values": ["1"]}]
    findings = declared(tmp_path, readers(tmp_path, "0", "1"), where=where).findings
    told = [each for each in findings if "no row of the film answers" in each.reason]
    assert [(each.kind, each.count, each.row, each.subject) for each in told] == [
        ("Missing", 1, 3, "task 'icu'")
    ]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            [{"column": "reader", "notValues": ["0", "1", "9"]}],
            r"\[0\]: no cell of column 'reader' passes; each is",
        ),
        (
            [{"column": "reader", "values": ["1"]}, {"column": "icu", "notValues": ["1"]}],
            "no row passes all 2 filters",
        ),
    ],
)
def test_filters_that_leave_nothing_are_an_error_and_no_column_of_noes(
    tmp_path: Path, where: list[dict[str, Any]], message: str
):
    rows = readers(tmp_path, "0", "1")
    with pytest.raises(ColumnError, match=rf"task 'icu': where.*{message}"):
        declared(tmp_path, rows, where=where)
    with pytest.raises(ColumnError, match=rf"source\.table\.where.*{message}"):
        declared(tmp_path, rows, {"where": where})


def test_filters_compare_as_labels_do_and_may_be_negated(tmp_path: Path):
    rows = readers(tmp_path, "1")
    for row, value in zip(rows, ("CT ", "NA"), strict=True):
        row["modality"] = value
    for where, left in (
        ({"column": "modality", "values": ["ct"]}, ["films/0.png"]),
        ({"column": "modality", "notValues": ["ct"]}, ["films/1.png"]),
        ({"column": "modality", "notValues": [""]}, ["films/0.png"]),
        ({"column": "reader", "values": ["9.0"]}, ["films/1.png"]),
    ):
        found = declared(tmp_path, rows, {"where": [where]})
        assert [film.key for film in found.table.films] == left
        assert found.table.left_out == {"where": 1}


def test_a_filter_that_no_row_passes_is_an_error_that_names_the_nearest_value(tmp_path: Path):
    rows = [row | {"modality": "CR"} for row in readers(tmp_path, "1")]
    with pytest.raises(ColumnError, match=r"source\.table\.where\[0\]: no cell of column 'modality' passes"):
        declared(tmp_path, rows, {"where": [{"column": "modality", "values": ["DX"]}]})


@pytest.mark.parametrize("nobody", ["", "NA", "unknown", "Anonymous", "-"])
def test_films_of_nobody_are_not_one_persons(tmp_path: Path, nobody: str):
    rows = readers(tmp_path, "1")
    rows[0]["patient"] = nobody
    found = declared(tmp_path, rows)
    assert [fault.reason for fault in found.faults.values()] == ["MissingPatient"]
    assert [(each.reason, each.count, each.row) for each in found.findings] == [("MissingPatient", 1, 1)]


def test_a_data_set_in_which_every_film_is_its_own_patient_is_told(tmp_path: Path):
    rows: Rows = [
        {"file": f"{number}.png", "patient": f"{number}", "icu": number % 2} for number in range(60)
    ]
    reasons = [each.reason for each in declared(tmp_path, rows).findings]
    assert any("every film is its own patient" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("name", "words", "nearest"),
    [
        ("0.PNG", "in another letter case", "films/0.png"),
        ("0.jpg", "with another extension", "films/0.png"),
        ("deep/0.png", "in another folder", "films/0.png"),
        ("o\u0308.png", "in another Unicode form", "films/\u00f6.png"),
        ("%C3%B6.png", "with characters as in a URL, or without", "films/\u00f6.png"),
    ],
)
def test_a_missing_film_is_told_with_the_nearest_that_exists(
    tmp_path: Path, name: str, words: str, nearest: str
):
    rows = readers(tmp_path, "1")
    (tmp_path / "films" / "\u00f6.png").write_bytes(png(drawn_film(3)))
    rows[0]["file"] = name
    (told,) = [each for each in declared(tmp_path, rows).findings if each.kind == "Unusable"]
    assert (told.reason, told.count, told.row) == (f"MissingFile: there {words}", 1, 1)
    assert f"found {nearest!r}" in told.private


@pytest.mark.parametrize(
    "cell",
    ["/mnt/pacs/0.png", "\\\\server\\share\\0.png", "./0.png", "D:\\Export\\.\\0.png", ".\\0.png", " 0.png "],
)
def test_paths_of_other_machines_find_their_films(tmp_path: Path, cell: str):
    rows = readers(tmp_path, "1")
    rows[0]["file"] = cell
    image = {
        "column": "file",
        "path": "films/{}",
        "stripPrefixes": ["/mnt/pacs/", "//server/share", "d:\\export"],
    }
    assert not declared(tmp_path, rows, {"image": image}).faults


def test_views_that_nothing_lists_are_left_out_and_told_by_spelling(tmp_path: Path):
    rows: Rows = [row | {"view": "PA"} for row in readers(tmp_path, *["1"] * 59)]
    rows[-1]["view"] = "oblique"
    found = declared(tmp_path, rows, {"view": {"column": "view", "frontal": ["pa"]}})
    assert found.table.left_out == {"view not listed": 1}
    (told,) = [each for each in found.findings if each.kind == "NotUnderstood"]
    assert (told.spelling, told.count, told.row) == ("oblique", 1, 60)


def test_all_columns_that_are_missing_are_named_at_once(tmp_path: Path):
    rows = readers(tmp_path, "1")
    with pytest.raises(ColumnError, match=r"patientColumn: .*'patients'.*subgroupColumns\[0\]: .*'gender'"):
        declared(tmp_path, rows, {"patientColumn": "patients", "subgroupColumns": ["gender"]})


def test_ages_are_read_with_the_tables_decimal_mark(tmp_path: Path):
    rows = [row | {"years": age} for row, age in zip(readers(tmp_path, "1"), ("54,5", "NA"), strict=True)]
    found = declared(tmp_path, rows, {"ageColumn": "years", "decimalMark": "Comma"})
    assert found.table.metadata["age"] == ["54", ""]
