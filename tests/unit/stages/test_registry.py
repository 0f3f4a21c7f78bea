"""What a stage's failure tells the many who read status and events, and what it keeps for the few who read the artifacts."""

import pickle
from pathlib import Path
from typing import get_args

import pytest

from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_api.stage import StageKind, StageSpec
from chex_jobs.artifacts import ArtifactStore, StorageUnavailable
from chex_jobs.data.errors import QuarantineError
from chex_jobs.handover.context import Machine, StageContext
from chex_jobs.handover.failures import Cause, ProcessFailed
from chex_jobs.stages import ingest
from chex_jobs.stages.errors import StageFailed
from chex_jobs.stages.registry import ENTRY_POINTS, run_stage
from chex_jobs.sweep.coordinator import UnitFailed
from chex_jobs.training.errors import WorkersFailed
from tests.pipeline.manifest import tiny_job


def failure_of(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> StageFailed:
    """How a stage ends whose work raises this."""

    def fail(_spec: StageSpec, _context: StageContext) -> None:
        raise error

    monkeypatch.setattr(ingest, "run", fail)
    job = validate_job(tiny_job(folder.as_uri())).job
    assert job is not None
    context = StageContext(
        store=ArtifactStore.open(folder.as_uri()),
        attempt_id="chex-1",
        machine=Machine(cpus=1),
        on_progress=lambda _: None,
    )
    with pytest.raises(StageFailed) as caught:
        run_stage(make_plan(job, {}).stage("ingest", "archive"), context)
    return caught.value


def kept(folder: Path) -> str:
    (file,) = folder.glob("stages/ingest-archive-*/attempts/chex-1/failure.txt")
    return file.read_text()


def test_an_unforeseen_exception_is_told_by_its_type_and_where_its_text_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = failure_of(KeyError("patient-4711"), tmp_path, monkeypatch)
    assert "4711" not in str(failure)
    assert str(failure).startswith(
        "ingest/archive: unexpected KeyError, a fault of chex; its whole text is in file://"
    )
    assert str(failure).endswith("/attempts/chex-1/failure.txt")
    assert not failure.user_error
    assert "KeyError: 'patient-4711'" in kept(tmp_path)


def test_whoever_runs_a_stage_on_a_machine_of_their_own_may_read_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = failure_of(KeyError("patient-4711"), tmp_path, monkeypatch).with_details()
    assert "unexpected KeyError, a fault of chex: 'patient-4711'; its whole text is in " in str(failure)


@pytest.mark.parametrize(
    ("error", "user_error"),
    [
        (QuarantineError("3 of 12 films cannot be used"), True),
        (StorageUnavailable("cannot read s3://films/a: SlowDown"), False),
        (UnitFailed("trial 0123 failed 2 times", Cause("StorageFull", "no space left")), False),
        (UnitFailed("trial 0123 failed 2 times", Cause("OutOfMemoryError", "CUDA out of memory")), False),
        (UnitFailed("trial 0123 failed 2 times: the process that ran it died; out of memory?"), False),
        (WorkersFailed("training ended at step 7, but the newest sound checkpoint is none"), False),
    ],
)
def test_a_known_error_keeps_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, user_error: bool
) -> None:
    failure = failure_of(error, tmp_path, monkeypatch)
    assert str(failure) == str(failure.with_details()) == f"ingest/archive: {error}"
    assert failure.user_error is user_error


@pytest.mark.parametrize("family", [UnitFailed, WorkersFailed])
def test_of_what_another_process_died_of_the_type_alone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: type[ProcessFailed]
) -> None:
    failure = failure_of(
        family("it failed 2 times", Cause("KeyError", "'patient: 4711'")), tmp_path, monkeypatch
    )
    assert str(failure).startswith("ingest/archive: it failed 2 times: KeyError; its whole text is in ")
    assert "4711" not in str(failure)
    assert "KeyError: 'patient: 4711'; its whole" in str(failure.with_details())
    assert "KeyError: 'patient: 4711'" in kept(tmp_path)


def test_every_kind_of_stage_has_an_entry_point_and_every_entry_point_a_kind() -> None:
    assert set(ENTRY_POINTS) == set(get_args(StageKind))
    assert all(callable(load()) for load in ENTRY_POINTS.values())


def test_a_failure_keeps_its_cause_between_processes() -> None:
    again = pickle.loads(pickle.dumps(WorkersFailed("they died", Cause("KeyError", "x: y"))))
    assert (str(again), again.cause) == ("they died: KeyError: x: y", Cause("KeyError", "x: y"))
