"""Exceptions that nobody foresaw, as an operator, a Pod's log and a terminal hear of them."""

import logging
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from chex_api.attempt import FAILURE
from chex_api.job import ChexTrainingJob
from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_api.stage import StageProgress
from chex_jobs.executor import cluster, local, preflight
from chex_jobs.executor.local import LocalExecutor
from chex_jobs.executor.observer import RunObserver
from chex_jobs.handover.context import Machine
from chex_jobs.stages import ingest
from chex_jobs.stages.errors import StageFailed
from tests.pipeline.manifest import tiny_job


class Told:
    """What the operator would read."""

    def __init__(self) -> None:
        self.outcome: dict[str, Any] = {}

    def report(self, progress: StageProgress) -> None:
        """Progress."""

    def finish(self, key: str, plain: object) -> bool:
        self.outcome[key] = plain
        return True


PATIENT = "patient-4711"


def quote_the_data(*_: object) -> None:
    raise KeyError(PATIENT)


@pytest.fixture
def job(tmp_path: Path) -> ChexTrainingJob:
    job = validate_job(tiny_job(tmp_path.as_uri())).job
    assert job is not None
    return job


def test_a_preflight_tells_the_type_and_keeps_the_text(
    job: ChexTrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preflight, "run_preflight", quote_the_data)
    told = Told()
    with caplog.at_level(logging.DEBUG):
        assert preflight.look(job, told, f"{tmp_path.as_uri()}/preflights/chex-1") == cluster.FAILED
    assert told.outcome[FAILURE]["message"] == (
        f"unexpected KeyError, a fault of chex; its whole text is in {tmp_path.as_uri()}/preflights/chex-1/failure.txt"
    )
    assert "in quote_the_data" in caplog.text
    assert "4711" not in caplog.text
    assert "KeyError: 'patient-4711'" in (tmp_path / "preflights/chex-1/failure.txt").read_text()


def test_an_attempt_in_a_cluster_neither_tells_nor_logs_the_text(
    job: ChexTrainingJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ingest, "run", quote_the_data)
    told = Told()
    stage = make_plan(job, {}).stage("ingest", "archive")
    with caplog.at_level(logging.DEBUG):
        cluster.run_attempt(stage, "chex-1", Machine(cpus=1), told, threading.Event())
    assert "unexpected KeyError" in told.outcome[FAILURE]["message"]
    assert "4711" not in str(told.outcome) + caplog.text


def test_a_run_on_a_machine_of_ones_own_tells_the_text(
    job: ChexTrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "run", quote_the_data)
    monkeypatch.setattr(local, "_ray_if", lambda _needed, _machine: nullcontext())
    executor = LocalExecutor(job, Machine(cpus=1), create_autospec(RunObserver), threading.Event())
    with pytest.raises(StageFailed, match="unexpected KeyError, a fault of chex: 'patient-4711'; "):
        executor.run()
