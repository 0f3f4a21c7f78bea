"""Ages: declared, and capped wherever they are stored."""

import pytest

from chex_jobs.data.dataset.index import FIXED_COLUMNS, META_PREFIX, index_table
from chex_jobs.data.records.ages import age_in_years, is_age_column


@pytest.mark.parametrize(
    ("cell", "years"),
    [("58", "58"), ("058Y", "58"), ("89.9", "89"), ("90", "90"), ("97", "90"), ("413", ""), ("-1", ""), ("old", ""),
     ("1e400", ""), ("nan", "")],
)  # fmt: skip
def test_ages_from_ninety_up_are_ninety_and_what_is_no_age_is_nothing(cell: str, years: str) -> None:
    assert age_in_years(cell) == years


def test_the_index_caps_ages_whatever_source_wrote_them() -> None:
    fixed = {field.name: [None] for field in FIXED_COLUMNS}
    metadata = {"age": ["97"], "Age": ["95"], "image_height": ["2048"], "dosage": ["97"]}
    stored = index_table(fixed, metadata)
    cells = {name: stored.column(META_PREFIX + name)[0].as_py() for name in metadata}
    assert cells == {"age": "90", "Age": "90", "image_height": "2048", "dosage": "97"}


@pytest.mark.parametrize("name", ["image_height", "dosage", "stage", "age_group", "patient_age"])
def test_a_name_that_holds_the_letters_is_no_age(name: str) -> None:
    assert not is_age_column(name)
