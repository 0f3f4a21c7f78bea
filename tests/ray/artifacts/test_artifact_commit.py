"""Finishing work: one manifest, written last, by whoever is first."""

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from chex_jobs.artifacts import (
    Artifact,
    ArtifactError,
    ArtifactStore,
    CorruptArtifact,
    FinishedArtifact,
    IdentityMismatch,
    InvalidLocation,
    ObjectNotFound,
)
from chex_jobs.artifacts.hashing import sha256_of
from tests.patience import PATIENCE_SECONDS

IDENTITY = "0123456789ab" + "c" * 52


def finish(artifact: Artifact, attempt_id: str = "uid-1") -> FinishedArtifact:
    attempt = artifact.attempt(attempt_id)
    attempt.write_json("metrics.json", {"by": attempt_id})
    attempt.write_safetensors("weights.safetensors", {"conv": np.arange(6.0).reshape(2, 3)}, {"step": "7"})
    return attempt.commit(
        {"loss": 0.5}, parents={"ingest/archive": "cd" * 32}, environment={"torch": "2.15.0"}
    )


def damage(artifact: Artifact, key: str, data: bytes) -> None:
    artifact.storage.write_bytes(f"{artifact.folder}/{key}", data)


def test_work_is_unfinished_until_the_commit_whatever_was_written(artifact: Artifact) -> None:
    assert artifact.finished() is None
    artifact.attempt("uid-1").write_bytes("weights.safetensors", b"all of it")
    assert artifact.finished() is None


def test_finished_work_is_read_back_whole_from_its_uri(artifact: Artifact) -> None:
    committed = finish(artifact)
    store = ArtifactStore.open(artifact.storage.uri)
    done = store.stage("pretrain", "ssl", IDENTITY).finished()
    assert done is not None
    assert done.manifest == committed.manifest
    assert done.manifest_sha256 == committed.manifest_sha256
    assert (done.summary, done.identity, done.attempt) == ({"loss": 0.5}, IDENTITY, "uid-1")
    assert (done.parents, done.environment) == ({"ingest/archive": "cd" * 32}, {"torch": "2.15.0"})
    assert list(done.files) == ["metrics.json", "weights.safetensors"]
    assert done.read_json("metrics.json") == {"by": "uid-1"}
    np.testing.assert_array_equal(
        done.read_safetensors("weights.safetensors")["conv"], [[0, 1, 2], [3, 4, 5]]
    )
    assert done.read_safetensors("weights.safetensors", framework="torch")["conv"].shape == (2, 3)
    assert done.local_path("metrics.json").read_bytes() == done.read_bytes("metrics.json")


def test_stages_and_objects_lie_where_the_design_says(artifact: Artifact) -> None:
    done = finish(artifact)
    unit = ArtifactStore.open(artifact.storage.uri).object("probe", IDENTITY)
    unit.attempt("uid-1").commit({})
    keys = artifact.storage.sizes()
    assert "stages/pretrain-ssl-0123456789ab/manifest.json" in keys
    assert "stages/pretrain-ssl-0123456789ab/attempts/uid-1/weights.safetensors" in keys
    assert "objects/probe-0123456789ab/manifest.json" in keys
    assert done.manifest_uri == f"{artifact.storage.uri}/stages/pretrain-ssl-0123456789ab/manifest.json"


def test_the_loser_of_a_commit_adopts_the_result_of_the_winner(artifact: Artifact) -> None:
    winner = finish(artifact, "uid-1")
    loser = finish(artifact, "uid-2")
    assert loser.manifest_sha256 == winner.manifest_sha256
    assert loser.attempt == "uid-1"
    assert loser.read_json("metrics.json") == {"by": "uid-1"}


def test_two_racing_committers_end_with_one_result(artifact: Artifact) -> None:
    attempts = [artifact.attempt(f"uid-{number}") for number in range(2)]
    for attempt in attempts:
        attempt.write_json("metrics.json", {"by": attempt.attempt_id})
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda attempt: attempt.commit({"by": attempt.attempt_id}), attempts))
    assert results[0].manifest_sha256 == results[1].manifest_sha256
    assert results[0].read_json("metrics.json") == results[0].summary


def test_two_racing_processes_end_with_one_result(artifact: Artifact) -> None:
    script = (
        "import sys\n"
        "from chex_jobs.artifacts import ArtifactStore\n"
        "uri, identity, name = sys.argv[1:]\n"
        "attempt = ArtifactStore.open(uri).stage('pretrain', 'ssl', identity).attempt(name)\n"
        "attempt.write_json('metrics.json', {'by': name})\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(attempt.commit({'by': name}).attempt, flush=True)\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, artifact.storage.uri, IDENTITY, f"uid-{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    results = [racer.communicate(timeout=PATIENCE_SECONDS)[0].strip() for racer in racers]
    done = artifact.finished()
    assert done is not None
    assert results == [done.attempt, done.attempt]


def test_a_worker_writes_with_its_copy_and_the_driver_lists_its_file(artifact: Artifact) -> None:
    attempt = artifact.attempt("uid-1")
    workers_copy = pickle.loads(pickle.dumps(attempt))
    with workers_copy.writing("shards/shard-00000.npy") as path:
        path.write_bytes(b"films")
    attempt.adopt(workers_copy.record("shards/shard-00000.npy"))
    assert attempt.commit({}).read_bytes("shards/shard-00000.npy") == b"films"


def test_a_file_of_an_earlier_attempt_can_be_taken_over(artifact: Artifact) -> None:
    record = artifact.attempt("uid-1").write_bytes("shards/shard-00000.npy", b"films")
    later = artifact.attempt("uid-2")
    later.adopt(record)
    done = later.commit({})
    assert done.attempt == "uid-2"
    assert done.read_bytes("shards/shard-00000.npy") == b"films"


def test_a_commit_whose_file_is_gone_or_shortened_is_refused(artifact: Artifact) -> None:
    attempt = artifact.attempt("uid-1")
    attempt.write_bytes("weights.safetensors", b"weights")
    damage(artifact, "attempts/uid-1/weights.safetensors", b"wei")
    with pytest.raises(ArtifactError, match="has 3 bytes where 7 were written"):
        attempt.commit({})
    artifact.storage.delete(f"{artifact.folder}/attempts/uid-1/weights.safetensors")
    with pytest.raises(ArtifactError, match="is not there"):
        attempt.commit({})
    assert artifact.finished() is None


def test_a_changed_file_is_refused_by_every_way_of_reading_it(artifact: Artifact) -> None:
    done = finish(artifact)
    sound = done.read_bytes("weights.safetensors")
    damage(artifact, "attempts/uid-1/weights.safetensors", sound[:-1] + bytes([sound[-1] ^ 1]))
    for read in (done.read_bytes, done.local_path, done.read_safetensors):
        with pytest.raises(
            CorruptArtifact, match=r"weights\.safetensors has SHA-256 .* delete .*manifest\.json"
        ):
            read("weights.safetensors")


def test_a_truncated_file_is_refused(artifact: Artifact) -> None:
    done = finish(artifact)
    size = done.files["weights.safetensors"].size
    damage(artifact, "attempts/uid-1/weights.safetensors", done.read_bytes("weights.safetensors")[:-5])
    for read in (done.read_bytes, done.local_path):
        with pytest.raises(CorruptArtifact, match=f"has {size - 5} bytes where {size} were committed"):
            read("weights.safetensors")


def test_a_file_that_is_gone_is_told_as_damage(artifact: Artifact) -> None:
    done = finish(artifact)
    artifact.storage.delete(f"{artifact.folder}/attempts/uid-1/metrics.json")
    for read in (done.read_bytes, done.local_path):
        with pytest.raises(CorruptArtifact, match=r"nothing is stored at .*metrics\.json; delete"):
            read("metrics.json")


def test_a_file_that_was_never_listed_is_told_apart_from_damage(artifact: Artifact) -> None:
    with pytest.raises(ObjectNotFound, match=r"lists no file 'logits\.npz'"):
        finish(artifact).read_bytes("logits.npz")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda data: data[: len(data) // 2], "is not JSON"),
        (lambda data: b"", "is not JSON"),
        (lambda data: data.replace(b"0.5", b"0.4"), "does not match its own digest"),
        (lambda data: json.dumps({"loss": 0.5}).encode(), "no member 'digest'"),
    ],
    ids=["truncated", "empty", "edited", "foreign"],
)
def test_a_spoilt_manifest_is_an_error_and_never_unfinished_work(
    artifact: Artifact, spoil, complaint: str
) -> None:
    finish(artifact)
    data = artifact.storage.read_bytes(artifact.manifest_key)
    damage(artifact, "manifest.json", spoil(data))
    with pytest.raises(CorruptArtifact, match=complaint) as refusal:
        artifact.finished()
    assert artifact.manifest_uri in str(refusal.value)


def test_a_manifest_copied_into_the_folder_of_other_work_is_refused(artifact: Artifact) -> None:
    finish(artifact)
    same_folder = ArtifactStore.open(artifact.storage.uri).stage("pretrain", "ssl", IDENTITY[:12] + "d" * 52)
    assert same_folder.folder == artifact.folder
    with pytest.raises(IdentityMismatch, match="identity"):
        same_folder.finished()


def test_another_job_opens_an_artifact_by_the_uri_and_checksum_of_its_manifest(artifact: Artifact) -> None:
    done = finish(artifact)
    shared = FinishedArtifact.open(done.manifest_uri, done.manifest_sha256)
    assert shared.read_json("metrics.json") == {"by": "uid-1"}
    assert shared.uri == done.uri
    assert shared.manifest_uri == done.manifest_uri
    with pytest.raises(CorruptArtifact, match="it is another artifact"):
        FinishedArtifact.open(done.manifest_uri, sha256_of(b"another"))
    with pytest.raises(InvalidLocation, match=r"/manifest\.json"):
        FinishedArtifact.open(done.uri, done.manifest_sha256)


@pytest.mark.parametrize("path", ["../manifest.json", "/etc/passwd", "checkpoints/x", "a//b"])
def test_an_attempt_writes_nowhere_but_in_its_own_folder(artifact: Artifact, path: str) -> None:
    with pytest.raises(InvalidLocation):
        artifact.attempt("uid-1").write_bytes(path, b"")


@pytest.mark.parametrize("attempt_id", ["", "../uid", "a/b", ".hidden", "a" * 129])
def test_an_attempt_id_is_one_safe_word(artifact: Artifact, attempt_id: str) -> None:
    with pytest.raises(InvalidLocation, match="attempt id"):
        artifact.attempt(attempt_id)


def test_an_uploaded_file_is_a_copy(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(b"before")
    attempt = artifact.attempt("uid-1")
    attempt.upload("x", tmp_path / "local")
    (tmp_path / "local").write_bytes(b"after!")
    assert attempt.commit({}).read_bytes("x") == b"before"
