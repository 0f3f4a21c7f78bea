"""One person's id has one normal form, however it is spelled; ids of different people stay different."""

import pytest

from chex_jobs.data.records.patients import normal_patient_id
from chex_jobs.data.sources.declaration import declare
from tests.unit.data.films import hospital_dataset, write_csv, write_hospital


@pytest.mark.parametrize(
    "spelling",
    [
        "100", "100.0", "100.", "100.000", "100,0", "100,00", "0100", "00100.0", "+100", " 100 ", "1 00", "100\N{NO-BREAK SPACE}",
        "\N{ZERO WIDTH SPACE}100", "\ufeff100", "100\0", "1\N{THIN SPACE}00", "１００", "١٠٠", "1E+02", "1.00e2", "1,0E+02",
        "1.0E+002", "'100", '"100"', '="00100"', "'100'",
    ],
)  # fmt: skip
def test_a_whole_number_is_its_digits(spelling: str) -> None:
    assert normal_patient_id(spelling) == "100"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P-0017", "p-0017"),
        ("Mu\u0308ller", "M\u00fcller"),
        ("PAT\N{EN DASH}7", "PAT-7"),
        ("PAT\N{NON-BREAKING HYPHEN}7", "PAT-7"),
        ("943 476 5919", "9434765919"),
        ("Stra\u00dfe", "STRASSE"),
        ("0", "000"),
        ("1.23457E+11", "123457000000"),
    ],
)
def test_spellings_of_one_id_agree(one: str, other: str) -> None:
    assert normal_patient_id(one) == normal_patient_id(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("100", "1000"),
        ("100.5", "100"),
        ("100,000", "100"),
        ("-100", "100"),
        ("P-007", "P-7"),
        ("12.1", "121"),
        ("a", "b"),
        ("1.5E+00", "1"),
    ],
)
def test_ids_of_different_people_stay_apart(one: str, other: str) -> None:
    assert normal_patient_id(one) != normal_patient_id(other)


@pytest.mark.parametrize("spelling", ["", " ", '=""', "'", "\0", "\ufeff", "\N{NO-BREAK SPACE}"])
def test_an_id_of_nothing_visible_is_missing(spelling: str) -> None:
    assert normal_patient_id(spelling) == ""


@pytest.mark.parametrize(
    "spelling", ["100.0", "P-0017", "0", "1E+05", "Mu\u0308ller", "", "100,000", "0e5", "٣-B"]
)
def test_a_normal_form_is_its_own(spelling: str) -> None:
    once = normal_patient_id(spelling)
    assert normal_patient_id(once) == once


def test_two_spellings_in_one_table_are_one_patient_on_one_side_of_the_split(tmp_path) -> None:
    rows = write_hospital(tmp_path, num_films=40)
    for number, row in enumerate(rows):
        row["patient"] = (f"{number // 2 + 1}", f"00{number // 2 + 1}.0")[number % 2]
    write_csv(tmp_path / "data.csv", rows)
    films = declare(hospital_dataset(tmp_path)).table.films
    assert [film.patient for film in films] == [str(number // 2 + 1) for number in range(40)]
