"""S3 under settings that change, or that do not fit: what passes is waited for, what does not is told at once."""

import logging
from pathlib import Path

import pytest

from chex_jobs.artifacts import (
    ArtifactError,
    InvalidLocation,
    StorageDenied,
    StorageUnavailable,
    open_storage,
)
from chex_jobs.artifacts.retry import PATIENCE_VARIABLE
from chex_jobs.artifacts.s3_client import QUICK_TRIES
from tests.s3.fault_proxy import Fault, FaultProxy, Refusal, Request
from tests.s3.servers import ACCESS_KEY, SECRET_KEY, S3Server

Faulty = tuple[FaultProxy, str]


def is_put(request: Request) -> bool:
    return request.method == "PUT"


PERMANENT = {
    "another region": (Refusal(301, "PermanentRedirect", headers=(("x-amz-bucket-region", "eu-central-1"),)), "another region.*AWS_REGION"),
    "another region's signature": (Refusal(400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong"), "another region"),
    "expired": (Refusal(400, "ExpiredToken", "The provided token has expired."), "credentials have expired"),
    "clock": (Refusal(403, "RequestTimeTooSkewed"), "clock differs"),
    "no conditional writes": (Refusal(501, "NotImplemented", "A header If-None-Match is not implemented"), "knows no conditional writes"),
    "no checksums": (Refusal(501, "NotImplemented", "x-amz-sdk-checksum-algorithm is not implemented"), "AWS_REQUEST_CHECKSUM_CALCULATION"),
    "checksums read otherwise": (Refusal(400, "XAmzContentSHA256Mismatch"), "AWS_REQUEST_CHECKSUM_CALCULATION"),
    "key": (Refusal(403, "InvalidAccessKeyId"), "check the credentials"),
    "policy": (Refusal(403, "AccessDenied"), "bucket's policy"),
    "whatever else": (Refusal(400, "InvalidArgument", "no such thing"), "does not take the request .*no such thing"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PERMANENT)
def test_a_fault_that_no_waiting_mends_has_its_own_sentence_and_is_not_tried_again(
    faulty_s3: Faulty, fault: str
) -> None:
    proxy, uri = faulty_s3
    refusal, sentence = PERMANENT[fault]
    proxy.plan(refusal, times=50, when=is_put)
    with pytest.raises((InvalidLocation, StorageDenied), match=sentence) as told:
        open_storage(uri).put_if_absent("a", b"1")
    assert f"{uri}/a" in str(told.value)
    assert len(proxy.seen) <= 2, "one request, and at most one more by botocore to find the region"


def test_an_outage_is_sat_out_and_told_as_it_happens(
    faulty_s3: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    proxy, uri = faulty_s3
    proxy.plan(Fault.RESET, times=3 * QUICK_TRIES)
    with caplog.at_level(logging.WARNING, logger="chex_jobs.artifacts.retry"):
        open_storage(uri).write_bytes("a", b"stored")
    assert proxy.all_met
    assert open_storage(uri).read_bytes("a") == b"stored"
    first, *_, last = [record.getMessage() for record in caplog.records]
    assert first.startswith(f"cannot write {uri}/a (")
    assert "trying again for up to" in first
    assert last.startswith(f"write {uri}/a: done, after")


def test_a_listing_goes_on_after_an_outage(faulty_s3: Faulty) -> None:
    proxy, uri = faulty_s3
    open_storage(uri).write_bytes("a", b"")
    proxy.plan(Fault.RESET, times=2 * QUICK_TRIES)
    assert open_storage(uri).sizes() == {"a": 0}
    assert proxy.all_met


def test_the_winner_before_an_outage_still_learns_that_it_won(faulty_s3: Faulty) -> None:
    proxy, uri = faulty_s3
    proxy.plan(Fault.LOST_ANSWER, when=is_put)
    proxy.plan(Fault.RESET, times=2 * QUICK_TRIES, when=is_put)
    assert open_storage(uri).put_if_absent("manifest.json", b"ours")
    assert proxy.all_met


def test_an_outage_without_end_is_told_when_patience_is_used_up(
    faulty_s3: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, uri = faulty_s3
    monkeypatch.setenv(PATIENCE_VARIABLE, "1")
    proxy.plan(Fault.SLOW_DOWN, times=200)
    with pytest.raises(StorageUnavailable, match="SlowDown after retries"):
        open_storage(uri).read_bytes("a")


@pytest.mark.parametrize("told", ["soon", "-1", "1e9", "nan"])
def test_patience_that_is_no_time_is_refused(
    faulty_s3: Faulty, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, told)
    with pytest.raises(InvalidLocation, match=PATIENCE_VARIABLE):
        open_storage(faulty_s3[1]).read_bytes("a")


def write_credentials(path: Path, secret: str) -> None:
    path.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {secret}\n")


@pytest.fixture
def credentials_file(versitygw_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in versitygw_server.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    return path


def test_credentials_that_rotate_in_a_file_are_read_again(
    credentials_file: Path, versitygw_server: S3Server, tmp_path: Path
) -> None:
    storage = open_storage(f"s3://{versitygw_server.bucket}/{tmp_path.name}")
    write_credentials(credentials_file, "of yesterday")
    with pytest.raises(StorageDenied):
        storage.write_bytes("a", b"1")
    write_credentials(credentials_file, SECRET_KEY)
    storage.write_bytes("a", b"1")
    (tmp_path / "b").write_bytes(b"2")
    storage.upload("b", tmp_path / "b")
    assert storage.sizes() == {"a": 1, "b": 1}


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken"])
def test_a_request_whose_credentials_expired_goes_out_again_with_those_that_are_there_by_then(
    credentials_file: Path, faulty_s3: Faulty, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    proxy, uri = faulty_s3
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials_file))
    write_credentials(credentials_file, "of yesterday")

    def rotated(request: Request) -> bool:
        write_credentials(credentials_file, SECRET_KEY)
        return True

    proxy.plan(Refusal(400, code), when=rotated)
    open_storage(uri).write_bytes("a", b"1")
    assert open_storage(uri).read_bytes("a") == b"1"


def test_the_first_fault_of_the_probe_is_told_and_not_that_of_clearing_it_away(faulty_s3: Faulty) -> None:
    proxy, uri = faulty_s3
    proxy.plan(Refusal(501, "NotImplemented", "If-None-Match"), when=is_put)
    proxy.plan(Refusal(403, "AccessDenied"), when=lambda request: request.method == "DELETE")
    with pytest.raises(ArtifactError, match="conditional writes"):
        open_storage(uri).honours_put_if_absent()
    assert proxy.all_met


def test_a_probe_that_cannot_be_cleared_away_is_told(faulty_s3: Faulty) -> None:
    proxy, uri = faulty_s3
    proxy.plan(Refusal(403, "AccessDenied"), when=lambda request: request.method == "DELETE")
    with pytest.raises(StorageDenied, match="not allowed to delete"):
        open_storage(uri).honours_put_if_absent()


@pytest.mark.parametrize(
    "endpoint", ["minio.example:9000", "127.0.0.1:9000", "localhost", "//minio", "ftp://minio"]
)
def test_an_endpoint_without_a_scheme_is_told_with_how_to_write_it(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(InvalidLocation, match=r"scheme, such as https://"):
        open_storage(s3_uri).read_bytes("a")


def test_a_certificate_authority_that_is_not_there_is_named(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/missing/ca.pem")
    with pytest.raises(InvalidLocation, match=r"AWS_CA_BUNDLE names '/etc/missing/ca\.pem'"):
        open_storage(s3_uri).read_bytes("a")


def test_requests_go_by_the_proxy_unless_the_endpoint_lies_in_an_excepted_range(
    versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chex_jobs.artifacts.s3_client import S3Client

    for name, value in versitygw_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://10.1.2.3:9000")
    proxies = S3Client().call(lambda client: client.meta.config.proxies)
    assert proxies["https"] == "http://proxy.example:3128"
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    assert S3Client().call(lambda client: client.meta.config.proxies) == {}
