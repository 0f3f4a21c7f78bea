"""Checkpoints: files first, record last; the newest sound one over all attempts."""

import logging
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from chex_jobs.artifacts import Artifact, ArtifactError, InvalidLocation, ObjectNotFound
from chex_jobs.artifacts.checkpoints import CheckpointStore


@pytest.fixture
def checkpoints(artifact: Artifact) -> CheckpointStore:
    return artifact.attempt("uid-1").checkpoints


def files_of(step: int) -> dict[str, Path | bytes]:
    return {"weights": f"weights at {step}".encode(), "moments/adam": f"moments at {step}".encode()}


def key_of(store: CheckpointStore, step: int, end: str) -> str:
    (key,) = (key for key in store.storage.sizes() if f"/{step:012d}-" in key and key.endswith(end))
    return key


def test_without_a_checkpoint_there_is_none(checkpoints: CheckpointStore) -> None:
    assert checkpoints.latest() is None


def test_the_latest_is_read_back_with_its_step_and_metadata(
    checkpoints: CheckpointStore, tmp_path: Path
) -> None:
    (tmp_path / "local").write_bytes(b"from a file")
    checkpoints.save(10, files_of(10), {"epoch": 0})
    checkpoints.save(20, {"weights": tmp_path / "local", "rng": b"state"}, {"epoch": 1, "loss": 0.5})
    latest = checkpoints.latest()
    assert latest is not None
    assert (latest.step, latest.metadata, latest.attempt) == (20, {"epoch": 1, "loss": 0.5}, "uid-1")
    assert latest.read_bytes("weights") == b"from a file"
    assert latest.local_path("rng").read_bytes() == b"state"
    with pytest.raises(ObjectNotFound, match="it has: rng, weights"):
        latest.read_bytes("optimizer")


def test_a_later_attempt_goes_on_from_the_newest_of_all(artifact: Artifact) -> None:
    artifact.attempt("uid-2").checkpoints.save(30, files_of(30))
    artifact.attempt("uid-1").checkpoints.save(40, files_of(40))
    artifact.attempt("uid-1").checkpoints.save(5, files_of(5))
    latest = artifact.attempt("uid-3").checkpoints.latest()
    assert latest is not None
    assert (latest.step, latest.attempt) == (40, "uid-1")


def test_files_without_a_record_are_no_checkpoint(checkpoints: CheckpointStore) -> None:
    """So a process killed in the middle of a save leaves them."""
    checkpoints.save(10, files_of(10))
    checkpoints.save(20, files_of(20))
    checkpoints.storage.delete(key_of(checkpoints, 20, ".json"))
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.step == 10


@pytest.mark.parametrize(
    ("end", "spoil", "complaint"),
    [
        ("weights", lambda data: data[:-3], "truncated"),
        ("weights", lambda data: b"W" + data[1:], "SHA-256"),
        ("weights", None, "nothing is stored"),
        (".json", lambda data: data[: len(data) // 2], "not JSON"),
        (".json", lambda data: data.replace(b'"step": 20', b'"step": 21'), "its own digest"),
    ],
    ids=["truncated file", "changed file", "missing file", "truncated record", "edited record"],
)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    checkpoints: CheckpointStore, caplog: pytest.LogCaptureFixture, end: str, spoil, complaint: str
) -> None:
    checkpoints.save(10, files_of(10))
    checkpoints.save(20, files_of(20))
    damaged = key_of(checkpoints, 20, end)
    if spoil is None:
        checkpoints.storage.delete(damaged)
    else:
        checkpoints.storage.write_bytes(damaged, spoil(checkpoints.storage.read_bytes(damaged)))
    with caplog.at_level(logging.WARNING):
        latest = checkpoints.latest()
    assert latest is not None
    assert latest.step == 10
    (warning,) = caplog.messages
    assert complaint in warning
    assert checkpoints.storage.uri_of(damaged) in warning


def test_a_checkpoint_of_other_work_is_passed_over(
    artifact: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    ours = artifact.attempt("uid-1").checkpoints
    replace(ours, identity="f" * 64).save(50, files_of(50))
    assert ours.latest() is None
    assert "identity" in caplog.text


def test_an_attempt_keeps_its_last_checkpoints_and_those_of_others(artifact: Artifact) -> None:
    artifact.attempt("uid-0").checkpoints.save(1, files_of(1))
    ours = replace(artifact.attempt("uid-1").checkpoints, keep_last=2)
    for step in (10, 20, 30, 40):
        ours.save(step, files_of(step))
    keys = artifact.storage.sizes()
    assert {key.split("/")[-1][:12] for key in keys if key.endswith(".json")} == {
        f"{step:012d}" for step in (1, 30, 40)
    }
    assert len(keys) == 3 * 3, "a record and two files each, and nothing left of the others"


def test_a_save_after_a_fall_back_is_not_pruned_for_the_damaged_one_ahead_of_it(artifact: Artifact) -> None:
    ours = replace(artifact.attempt("uid-1").checkpoints, keep_last=1)
    ours.save(100, files_of(100))
    artifact.storage.write_bytes(key_of(ours, 100, "weights"), b"damaged")
    ours.save(90, files_of(90))
    latest = ours.latest()
    assert latest is not None
    assert latest.step == 90


def test_a_save_never_removes_a_checkpoint_of_a_later_step(artifact: Artifact) -> None:
    """One process of an attempt, believed dead, may be ahead of the one that took its place."""
    ours = replace(artifact.attempt("uid-1").checkpoints, keep_last=1)
    ours.save(100, files_of(100))
    ours.save(90, files_of(90))
    latest = ours.latest()
    assert latest is not None
    assert latest.step == 100


def test_the_same_step_saved_twice_is_sound_after_each(checkpoints: CheckpointStore) -> None:
    for content in (b"first", b"second"):
        checkpoints.save(10, {"weights": content})
        latest = checkpoints.latest()
        assert latest is not None
        assert latest.read_bytes("weights") in (b"first", b"second")


def test_workers_read_the_very_checkpoint_that_the_driver_chose(checkpoints: CheckpointStore) -> None:
    checkpoints.save(10, files_of(10))
    chosen = pickle.loads(pickle.dumps(checkpoints.latest()))
    pickle.loads(pickle.dumps(checkpoints)).save(20, files_of(20))
    assert chosen.read_bytes("weights") == b"weights at 10"


def test_metadata_that_is_no_json_is_refused_before_anything_is_stored(checkpoints: CheckpointStore) -> None:
    with pytest.raises(ArtifactError, match="JSON"):
        checkpoints.save(10, files_of(10), {"loss": float("nan")})
    with pytest.raises(InvalidLocation):
        checkpoints.save(10, {"../weights": b""})
    assert checkpoints.storage.sizes() == {}


def test_checkpoints_of_all_attempts_can_be_removed_and_nothing_else_is(artifact: Artifact) -> None:
    for attempt in ("uid-1", "uid-2"):
        artifact.attempt(attempt).checkpoints.save(10, files_of(10))
        artifact.attempt(attempt).write_bytes("kept", b"of a finished artifact")
    artifact.remove_checkpoints()
    assert artifact.attempt("uid-1").checkpoints.latest() is None
    assert [key.rpartition("/")[2] for key in artifact.storage.sizes()] == ["kept", "kept"]
