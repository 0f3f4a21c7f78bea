"""The stored form of results: exact there and back, strict about anything else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chex_jobs.evaluation.results.results_json import ResultsFormatError, dumps, loads
from chex_jobs.evaluation.results.schema import Estimate, HospitalResults, Results, reproducible_part
from tests.unit.evaluation.example_results import PATH, example


def test_the_example_file_is_what_its_code_writes():
    assert Path(PATH).read_bytes() == dumps(example())


def test_results_survive_the_way_there_and_back():
    assert loads(Results, dumps(example())) == example()


def test_undefined_numbers_are_none_and_never_nan():
    with pytest.raises(ResultsFormatError, match="undefined numbers must be None"):
        dumps(Estimate(float("nan")))


def changed(change) -> bytes:
    document = json.loads(dumps(example()))
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda d: d.update(extra=1), "results: unknown member 'extra' of Results", id="unknown"),
        pytest.param(
            lambda d: d["hospitals"][1]["arms"][0]["cost"].pop("labelled_patients"),
            r"hospitals\[1\]\.arms\[0\]\.cost: member 'labelled_patients' of ArmCost is missing",
            id="missing",
        ),
        pytest.param(
            lambda d: d["hospitals"][0]["arms"][0]["cost"].update(labelled_patients="many"),
            r"hospitals\[0\]\.arms\[0\]\.cost\.labelled_patients: expected an integer, found str 'many'",
            id="wrong type",
        ),
        pytest.param(
            lambda d: d["hospitals"][0]["recommendation"].update(verdict="Sure"),
            "recommendation.verdict: 'Sure' is not one of",
            id="unknown verdict",
        ),
        pytest.param(lambda d: d.update(schema="v0"), "results have schema 'v0'", id="other schema"),
        pytest.param(
            lambda d: d.update(hospitals={}), "hospitals: expected a list, found dict", id="no list"
        ),
    ],
)
def test_a_document_of_another_form_is_refused_with_the_place(change, message):
    with pytest.raises(ResultsFormatError, match=message):
        loads(Results, changed(change))


def test_text_that_is_not_json_is_refused():
    with pytest.raises(ResultsFormatError, match="results are not JSON"):
        loads(HospitalResults, b"<html>")


def test_seconds_and_the_ledger_are_not_part_of_what_runs_agree_in():
    first = example().hospitals[0]
    slower = replace(
        first, compute=replace(first.compute, wall_seconds=1e6), ledger=replace(first.ledger, count=9)
    )
    assert first != slower
    assert reproducible_part(first) == reproducible_part(slower)
