"""What a preflight in a cluster answers: bounded, with what the data will come to, and without names of files."""

import copy
import logging
from pathlib import Path
from typing import Any

import pytest

from chex_api.attempt import FAILURE, MOST_NOTICES, RESULT, PreflightResult
from chex_api.job import ChexTrainingJob
from chex_api.loading import validate_job
from chex_jobs.executor import preflight
from tests.pipeline.manifest import tiny_job
from tests.unit.data.films import hospital_dataset, write_hospital
from tests.unit.executor.test_unexpected_failures import Told


def job_of(plain: dict[str, Any]) -> ChexTrainingJob:
    loaded = validate_job(plain)
    assert loaded.job is not None, loaded.faults
    return loaded.job


def test_the_verdict_that_a_task_will_end_in_is_answered_and_the_data_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    with caplog.at_level(logging.INFO):
        assert preflight.look(job_of(tiny_job(tmp_path.as_uri())), told, tmp_path.as_uri()) == 0
    found = PreflightResult.parse(told.outcome[RESULT])
    assert any("task effusion: will end in: Insufficient data" in notice for notice in found.notices)
    assert "task effusion: films (patients)" in caplog.text


def test_neither_answer_nor_log_names_a_film(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_hospital(tmp_path / "hospital")
    (tmp_path / "hospital" / "films" / "film-000.png").unlink()
    plain = copy.deepcopy(tiny_job((tmp_path / "artifacts").as_uri()))
    plain["spec"]["pretraining"] = []
    hospital = plain["spec"]["hospitals"][0] | {"dataset": "hospital", "tasks": ["icu"]}
    plain["spec"]["hospitals"] = [{**hospital, "startFrom": [{"random": {}}]}]
    for share, key in ((0.5, RESULT), (0.0, FAILURE)):
        dataset = hospital_dataset(tmp_path / "hospital", quarantine={"maxShare": share})
        plain["spec"]["datasets"] = [dataset.plain()]
        told = Told()
        with caplog.at_level(logging.DEBUG):
            preflight.look(job_of(plain), told, tmp_path.as_uri())
        assert "MissingFile" in str(told.outcome[key]) + caplog.text
        assert "film-000" not in str(told.outcome) + caplog.text


def test_more_notices_than_events_are_made_of_are_counted() -> None:
    bounded = preflight._bounded(f"notice {number}" for number in range(40))  # pyright: ignore[reportPrivateUsage]
    assert len(bounded) == MOST_NOTICES
    assert bounded[-1] == "25 more notices of the data stand in the log of the preflight"
