"""S3 as it is on a bad day: throttled, cut off, answering late or not at all."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chex_jobs.artifacts import (
    ArtifactStore,
    StorageDenied,
    StorageUnavailable,
    open_storage,
)
from chex_jobs.artifacts.retry import PATIENCE_VARIABLE
from chex_jobs.artifacts.s3_client import QUICK_TRIES
from chex_jobs.artifacts.s3_storage import PART_BYTES
from tests.patience import PATIENCE_SECONDS
from tests.s3.fault_proxy import Fault, FaultProxy, Request
from tests.s3.servers import S3Server

IDENTITY = "0123456789ab" + "c" * 52

Faulty = tuple[FaultProxy, str]


def is_part(request: Request) -> bool:
    return request.method == "PUT" and "partNumber=" in request.path


def is_put(request: Request) -> bool:
    return request.method == "PUT"


def is_get(request: Request) -> bool:
    return request.method == "GET"


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET, Fault.LOST_ANSWER])
def test_a_write_is_tried_again_until_it_is_stored(faulty_s3: Faulty, fault: Fault) -> None:
    proxy, uri = faulty_s3
    proxy.plan(fault, times=2)
    open_storage(uri).write_bytes("a", b"stored")
    assert proxy.all_met
    assert open_storage(uri).read_bytes("a") == b"stored"


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET, Fault.CUT_BODY])
def test_a_read_is_tried_again_until_it_is_whole(faulty_s3: Faulty, fault: Fault) -> None:
    proxy, uri = faulty_s3
    data = os.urandom(100_000)
    open_storage(uri).write_bytes("a", data)
    proxy.plan(fault, times=2)
    assert open_storage(uri).read_bytes("a") == data
    assert proxy.all_met


def test_a_listing_survives_throttling(faulty_s3: Faulty) -> None:
    proxy, uri = faulty_s3
    open_storage(uri).write_bytes("a", b"")
    proxy.plan(Fault.SLOW_DOWN, times=2)
    assert open_storage(uri).sizes() == {"a": 0}
    assert proxy.all_met


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET])
def test_an_upload_in_parts_survives_faults_of_single_parts(
    faulty_s3: Faulty, fault: Fault, tmp_path: Path
) -> None:
    proxy, uri = faulty_s3
    (tmp_path / "weights").write_bytes(os.urandom(2 * PART_BYTES + 1))
    proxy.plan(fault, times=2, when=is_part)
    open_storage(uri).upload("weights", tmp_path / "weights")
    assert proxy.all_met
    open_storage(uri).download("weights", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "weights").read_bytes()


def test_a_download_whose_body_breaks_off_is_whole_in_the_end(faulty_s3: Faulty, tmp_path: Path) -> None:
    proxy, uri = faulty_s3
    data = os.urandom(300_000)
    open_storage(uri).write_bytes("weights", data)
    proxy.plan(Fault.CUT_BODY, when=is_get)
    open_storage(uri).download("weights", tmp_path / "back")
    assert proxy.all_met
    assert hashlib.sha256((tmp_path / "back").read_bytes()).digest() == hashlib.sha256(data).digest()


def test_the_winner_whose_answer_was_lost_still_learns_that_it_won(faulty_s3: Faulty) -> None:
    """The second try meets the object that the first one stored, and is answered 412."""
    proxy, uri = faulty_s3
    proxy.plan(Fault.LOST_ANSWER, when=is_put)
    assert open_storage(uri).put_if_absent("manifest.json", b"ours")
    assert proxy.all_met
    assert not open_storage(uri).put_if_absent("manifest.json", b"theirs")


def test_the_loser_whose_first_try_was_throttled_learns_that_it_lost(faulty_s3: Faulty) -> None:
    proxy, uri = faulty_s3
    assert open_storage(uri).put_if_absent("manifest.json", b"theirs")
    proxy.plan(Fault.SLOW_DOWN, when=is_put)
    assert not open_storage(uri).put_if_absent("manifest.json", b"ours")
    assert proxy.all_met


def test_a_conditional_write_that_meets_another_in_flight_is_tried_again(faulty_s3: Faulty) -> None:
    proxy, uri = faulty_s3
    proxy.plan(Fault.CONFLICT, times=2, when=is_put)
    assert open_storage(uri).put_if_absent("manifest.json", b"ours")
    assert proxy.all_met


def test_a_finished_stage_survives_a_storm(faulty_s3: Faulty) -> None:
    proxy, uri = faulty_s3
    proxy.plan(Fault.SLOW_DOWN)
    proxy.plan(Fault.RESET)
    artifact = ArtifactStore.open(uri).stage("pretrain", "ssl", IDENTITY)
    attempt = artifact.attempt("uid-1")
    attempt.write_json("metrics.json", {"loss": 0.5})
    proxy.plan(Fault.LOST_ANSWER, when=is_put)
    assert attempt.commit({}).read_json("metrics.json") == {"loss": 0.5}
    assert proxy.all_met


def test_throttling_without_end_is_told_as_such(faulty_s3: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, uri = faulty_s3
    monkeypatch.setenv(PATIENCE_VARIABLE, "0")
    proxy.plan(Fault.SLOW_DOWN, times=QUICK_TRIES)
    with pytest.raises(StorageUnavailable, match=f"cannot write {uri}/a: SlowDown after retries"):
        open_storage(uri).write_bytes("a", b"")
    assert len(proxy.seen) == QUICK_TRIES


def test_an_upload_that_fails_for_good_is_told_with_its_cause(
    faulty_s3: Faulty, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """upload_file wraps what happened and drops its code."""
    proxy, uri = faulty_s3
    monkeypatch.setenv(PATIENCE_VARIABLE, "0")
    (tmp_path / "weights").write_bytes(b"w")
    proxy.plan(Fault.SLOW_DOWN, times=QUICK_TRIES)
    with pytest.raises(StorageUnavailable, match=f"cannot write {uri}/weights: SlowDown"):
        open_storage(uri).upload("weights", tmp_path / "weights")


def test_no_server_is_told_with_where_to_look(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "0")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable, match="check AWS_ENDPOINT_URL"):
        open_storage(s3_uri).read_bytes("a")


def test_no_credentials_are_told_with_what_to_set(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageDenied, match="AWS_ACCESS_KEY_ID"):
        open_storage(s3_uri).read_bytes("a")


def test_wrong_credentials_are_refused_and_not_repeated(
    versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (versitygw_server.environment | {"AWS_SECRET_ACCESS_KEY": "geheim"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageDenied, match="check the credentials") as refusal:
        open_storage(f"s3://{versitygw_server.bucket}/a").read_bytes("a")
    assert "geheim" not in str(refusal.value)


def test_a_missing_bucket_is_never_taken_for_unfinished_work(s3_uri: str) -> None:
    artifact = ArtifactStore.open("s3://no-such-bucket/a").stage("pretrain", "ssl", IDENTITY)
    for ask in (artifact.finished, artifact.attempt("uid-1").checkpoints.latest):
        with pytest.raises(StorageUnavailable, match="the bucket does not exist"):
            ask()


def test_an_uploader_killed_in_the_middle_leaves_no_object_and_the_next_one_succeeds(
    faulty_s3: Faulty, versitygw_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, uri = faulty_s3
    weights = tmp_path / "weights"
    weights.write_bytes(os.urandom(2 * PART_BYTES + 1))
    proxy.plan(Fault.HANG, when=lambda request: "partNumber=3" in request.path)
    script = (
        "import sys, pathlib\n"
        "from chex_jobs.artifacts import ArtifactStore\n"
        "attempt = ArtifactStore.open(sys.argv[1]).stage('pretrain', 'ssl', sys.argv[2]).attempt('uid-1')\n"
        "attempt.checkpoints.save(10, {'weights': pathlib.Path(sys.argv[3])})\n"
    )
    uploader = subprocess.Popen([sys.executable, "-c", script, uri, IDENTITY, str(weights)])
    assert proxy.hanging.wait(timeout=PATIENCE_SECONDS)
    uploader.send_signal(signal.SIGKILL)
    assert uploader.wait() == -signal.SIGKILL
    monkeypatch.setenv("AWS_ENDPOINT_URL", versitygw_server.endpoint)
    artifact = ArtifactStore.open(uri).stage("pretrain", "ssl", IDENTITY)
    assert artifact.storage.sizes() == {}
    following = artifact.attempt("uid-2").checkpoints
    assert following.latest() is None
    following.save(10, {"weights": weights})
    latest = following.latest()
    assert latest is not None
    assert latest.local_path("weights").read_bytes() == weights.read_bytes()
