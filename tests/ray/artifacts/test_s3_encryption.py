"""Objects are encrypted with the KMS key of the environment: asked of moto, which tells keys, and sent to versitygw too."""

import os
from collections.abc import Callable
from typing import Any

import boto3.session
import pytest
from botocore.exceptions import ClientError

from chex_api.attempt import KMS_KEY_VARIABLE
from chex_jobs.artifacts import Storage, StorageDenied, open_storage
from chex_jobs.artifacts.s3_errors import reporting
from chex_jobs.artifacts.s3_storage import PART_BYTES

KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def write(storage: Storage) -> None:
    storage.write_bytes("written", b"1")


def put_if_absent(storage: Storage) -> None:
    assert storage.put_if_absent("written", b"1")


def stage(storage: Storage) -> None:
    with storage.staged("written") as path:
        path.write_bytes(b"1")


def upload_in_parts(storage: Storage) -> None:
    with storage.staged("written") as path:
        path.write_bytes(os.urandom(2 * PART_BYTES + 1))


ON_MOTO = pytest.mark.parametrize("s3_uri", ["moto"], indirect=True)
WRITES = pytest.mark.parametrize("act", [write, put_if_absent, stage, upload_in_parts])


def encryption(storage: Storage) -> tuple[str | None, str | None]:
    """How the server says that the object is encrypted."""
    bucket, key = storage.location.bucket, f"{storage.location.prefix}/written"
    head: dict[str, Any] = boto3.session.Session().client("s3").head_object(Bucket=bucket, Key=key)
    return head.get("ServerSideEncryption"), head.get("SSEKMSKeyId")


@ON_MOTO
@WRITES
def test_every_way_to_write_names_the_key(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch, act: Callable[[Storage], None]
) -> None:
    monkeypatch.setenv(KMS_KEY_VARIABLE, KEY)
    storage = open_storage(s3_uri)
    act(storage)
    assert encryption(storage) == ("aws:kms", KEY)


@ON_MOTO
@pytest.mark.parametrize("unset", [None, ""])
def test_without_a_key_the_bucket_decides(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch, unset: str | None
) -> None:
    if unset is None:
        monkeypatch.delenv(KMS_KEY_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(KMS_KEY_VARIABLE, unset)
    storage = open_storage(s3_uri)
    write(storage)
    assert encryption(storage)[1] is None


@WRITES
def test_what_is_written_with_a_key_is_read_as_before(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch, act: Callable[[Storage], None]
) -> None:
    monkeypatch.setenv(KMS_KEY_VARIABLE, KEY)
    storage = open_storage(s3_uri)
    act(storage)
    assert len(storage.read_bytes("written")) == storage.info("written").size


def test_a_key_that_cannot_be_used_is_told_as_one() -> None:
    answer = {"Error": {"Code": "KMS.DisabledException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    with (
        pytest.raises(StorageDenied, match=r"KMS\.DisabledException.*kms:GenerateDataKey"),
        reporting("s3://models/a", "write"),
    ):
        raise ClientError(answer, "PutObject")
