"""Digests: what moves the films of a data set, what moves the labels of one task, and what moves neither."""

from pathlib import Path

import pytest

from chex_api.dataset import Dataset
from chex_jobs.artifacts import file_hashes
from chex_jobs.data.sources.contents import film_contents, films_digest, labels_digest
from chex_jobs.data.sources.declaration import declare
from tests.unit.data.films import drawn_film, hospital_dataset, png, write_csv, write_hospital


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def films_of(dataset: Dataset) -> str:
    table = declare(dataset).table
    return films_digest(table, film_contents(dataset, table.films))


def labels_of(dataset: Dataset, task: str = "icu") -> str:
    declaration = declare(dataset)
    return labels_digest(declaration.table.films, declaration.labels[task])


def hospital(folder: Path, **changes: object) -> Dataset:
    return hospital_dataset(folder / "hospital", **changes)


def test_films_move_with_a_picture_a_patient_a_report_or_a_missing_file(tmp_path: Path):
    rows = write_hospital(tmp_path / "hospital", 3)
    film = tmp_path / "hospital" / "films" / "film-001.png"
    found = [films_of(hospital(tmp_path))]
    film.write_bytes(png(drawn_film(8)))
    found.append(films_of(hospital(tmp_path)))
    film.unlink()
    found.append(films_of(hospital(tmp_path)))
    film.write_bytes(png(drawn_film(1)))
    for column in ("patient", "report", "sex"):
        write_csv(tmp_path / "hospital" / "data.csv", [{**rows[0], column: "another"}, *rows[1:]])
        found.append(films_of(hospital(tmp_path)))
    assert len(set(found)) == len(found)


def test_films_do_not_move_with_labels_other_columns_other_files_or_rows_that_are_left_out(tmp_path: Path):
    rows = write_hospital(tmp_path / "hospital", 3)
    before = films_of(hospital(tmp_path))
    changed = [{**row, "icu": "9", "new column": "x"} for row in rows] + [
        {**rows[0], "icu": "9", "new column": "x", "file": ""}
    ]
    write_csv(tmp_path / "hospital" / "data.csv", changed)
    (tmp_path / "hospital" / "films" / "spare.png").write_bytes(png(drawn_film(9)))
    assert films_of(hospital(tmp_path)) == before


def test_films_do_not_depend_on_where_they_lie(tmp_path: Path):
    for name in ("here", "there"):
        write_hospital(tmp_path / name / "hospital", 3)
    assert films_of(hospital(tmp_path / "here")) == films_of(hospital(tmp_path / "there"))


def test_labels_move_with_an_answer_and_not_with_a_cell_that_answers_the_same(tmp_path: Path):
    rows = write_hospital(tmp_path / "hospital", 4)
    before = labels_of(hospital(tmp_path))
    yes = next(number for number, row in enumerate(rows) if row["icu"])
    rows[yes]["icu"] = "another number, present all the same"
    write_csv(tmp_path / "hospital" / "data.csv", rows)
    assert labels_of(hospital(tmp_path)) == before
    rows[yes]["icu"] = ""
    write_csv(tmp_path / "hospital" / "data.csv", rows)
    assert labels_of(hospital(tmp_path)) != before


def test_a_file_beside_the_films_is_never_opened_and_no_film_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_hospital(tmp_path / "hospital", 3)
    (tmp_path / "hospital" / "films" / "huge.bin").write_bytes(b"not of this data set")
    read: list[str] = []
    reading = file_hashes._Remembered._read  # pyright: ignore[reportPrivateUsage]

    def spying(self: object, path: Path) -> tuple[int, str]:
        read.append(path.name)
        return reading(self, path)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(file_hashes._Remembered, "_read", spying)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(file_hashes, "TICK_NS", 0)
    for _ in range(2):
        films_of(hospital(tmp_path))
    assert read == [f"film-{number:03d}.png" for number in range(3)]
