"""`patientPattern`: the id of a patient inside a path or a longer id, in linear time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chex_api.dataset import PATIENT_PATTERN, Table
from chex_jobs.data.records.patient_pattern import LONGEST_TEXT, PatientPattern

BASE = {"uri": "file:///data", "file": "t.csv", "image": {"column": "file"}, "patientColumn": "file"}
ATOMS = st.tuples(
    st.sampled_from(["a", "b", ".", r"\d", r"\w", "[a-c]", "[^a/]", "/", r"\.", "[0-9_]", r"[\d-]"]),
    st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}"]),
).map("".join)
PATTERNS = st.tuples(
    st.sampled_from(["", "^"]),
    st.lists(ATOMS, max_size=3).map("".join),
    st.lists(ATOMS, min_size=1, max_size=3).map("".join),
    st.lists(ATOMS, max_size=3).map("".join),
    st.sampled_from(["", "$"]),
).map(lambda parts: f"{parts[0]}{parts[1]}({parts[2]}){parts[3]}{parts[4]}")
TEXTS = st.text("abc/.-_019", max_size=12)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^patients/([^/]+)/", "patients/p12/s3/a.png", "p12"),
        ("^patients/([^/]+)/", "other/p12/a.png", ""),
        (r"([0-9]{8})_", "00000061_012.png", "00000061"),
        (r"/p[0-9]{2}/(p[0-9]+)/", "files/p10/p10000032/s5/a.jpg", "p10000032"),
        (r"(\d+)$", "film of 0042", "0042"),
        (r"-([A-Z]+\d+)\.", "a-b-XY77.png", "XY77"),
        (r"\((\w+)\)", "Name (id_9)", "id_9"),
    ],
)
def test_the_group_is_the_patient(pattern: str, text: str, found: str):
    Table.parse(BASE | {"patientPattern": pattern})
    assert PatientPattern(pattern).find(text) == found


@given(PATTERNS, TEXTS)
def test_what_is_found_is_what_pythons_own_expressions_find(pattern: str, text: str):
    assert re.fullmatch(PATIENT_PATTERN, pattern)
    expected = re.search(pattern.replace("$", r"\Z") if pattern.endswith("$") else pattern, text, re.ASCII)
    assert PatientPattern(pattern).find(text) == (expected[1] if expected else "")


def test_a_pattern_that_would_hold_up_a_backtracking_engine_looks_at_each_place_once():
    looks = 0

    class Counted(PatientPattern):
        def _ways_on(self, way, text):
            nonlocal looks
            looks += 1
            return super()._ways_on(way, text)

    pattern = "(" + ".*" * 20 + ")x"
    assert Counted(pattern).find("a" * 5000) == ""
    assert looks <= 22 * (LONGEST_TEXT + 1)


@pytest.mark.parametrize(
    "pattern",
    [
        "abc",
        "(a)(b)",
        "((a)+)",
        "(a+)+",
        "(a|b)",
        r"(a)\1",
        "(?:a)(b)",
        "(?=a)(b)",
        "(",
        "(a**)",
        "()",
        "(a{1,})",
    ],
)
def test_what_could_not_be_matched_in_linear_time_or_has_not_one_group_is_refused(pattern: str):
    with pytest.raises(ValidationError, match="patientPattern"):
        Table.parse(BASE | {"patientPattern": pattern})
