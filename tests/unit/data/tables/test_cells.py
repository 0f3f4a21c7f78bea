"""Columns of text and of films are sequences like any other, in little memory."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_jobs.data.decoding.faults import Fault, Reason
from chex_jobs.data.records.films import FilmRecord, Films
from chex_jobs.data.tables.cells import AT_ONCE, Cells

ANY_TEXT = st.text(st.characters(), max_size=6)  # lone surrogates too: names on a disk need be no UTF-8
COLUMNS = st.lists(st.none() | ANY_TEXT, max_size=40)


@st.composite
def columns_and_rows(draw: st.DrawFn) -> tuple[list[str | None], list[int]]:
    cells = draw(COLUMNS)
    return cells, draw(st.lists(st.integers(0, len(cells) - 1), max_size=60)) if cells else []


@given(columns_and_rows())
def test_a_column_is_the_sequence_that_it_was_made_of(drawn: tuple[list[str | None], list[int]]) -> None:
    cells, rows = drawn
    column = Cells.of(cells)
    assert list(column) == cells
    assert [column[row] for row in range(len(cells))] == cells
    assert column == cells
    assert list(column.select(rows)) == [cells[row] for row in rows]
    assert list(column[1:-1]) == cells[1:-1]
    assert Cells.of(column) is column


@given(COLUMNS, COLUMNS)
def test_columns_are_equal_where_their_cells_are(one: list[str | None], other: list[str | None]) -> None:
    assert (Cells.of(one) == Cells.of(other)) == (one == other)
    assert (Cells.of(one) == other) == (one == other)


@given(st.lists(ANY_TEXT, max_size=40))
def test_numbers_follow_the_first_appearance_of_each_cell(cells: list[str]) -> None:
    numbers, different = Cells.of(cells).numbered()
    assert list(different) == list(dict.fromkeys(cells))
    assert [different[number] for number in numbers] == cells


def test_a_column_longer_than_what_is_gathered_at_once_keeps_its_order() -> None:
    cells = [f"film {number}" for number in range(2 * AT_ONCE + 3)]
    column = Cells.of(iter(cells))
    assert list(column) == cells
    assert column[AT_ONCE] == cells[AT_ONCE]
    assert column[-1] == cells[-1]


def test_a_place_that_a_column_does_not_have_is_told() -> None:
    with pytest.raises(IndexError):
        Cells.of(["a"])[1]


TEXTS = st.text(max_size=4)
RECORDS = st.builds(
    FilmRecord,
    key=TEXTS,
    patient=TEXTS,
    study=TEXTS,
    view=TEXTS,
    size_bytes=st.integers(-2, 1 << 40),
    mark=TEXTS,
    report=st.none() | TEXTS,
    official=TEXTS,
    fault=st.none() | st.just(Fault(Reason.MISSING_FILE, "there is no such file")),
    row=st.integers(0, 1 << 40),
)


@given(st.lists(RECORDS, min_size=1, max_size=20), st.data())
def test_films_are_the_records_that_they_were_made_of(records: list[FilmRecord], data: st.DataObject) -> None:
    films = Films.of(records)
    assert list(films) == records
    assert [films[place] for place in range(len(records))] == records
    assert films[-1] == records[-1]
    assert films == records
    places = data.draw(st.lists(st.integers(0, len(records) - 1), max_size=30))
    assert list(films.select(places)) == [records[place] for place in places]


def test_every_fact_of_a_film_has_a_column() -> None:
    columns = {field.name.removesuffix("s") for field in dataclasses.fields(Films)}
    facts = {field.name for field in dataclasses.fields(FilmRecord)}
    assert facts - columns == {"study", "size_bytes"}  # `studies` and `sizes`
    assert len(columns) == len(facts)


def test_films_with_other_ids_are_the_same_otherwise() -> None:
    films = Films.of([FilmRecord(key="a", patient="P 1", view="AP", size_bytes=1, report="clear", row=7)])
    [film] = films.with_ids(["p1"], ["s1"])
    assert film == dataclasses.replace(films[0], patient="p1", study="s1")


def test_no_films_are_an_empty_sequence() -> None:
    empty: Sequence[FilmRecord] = Films.of([])
    assert list(empty) == []
    assert list(empty[:]) == []
