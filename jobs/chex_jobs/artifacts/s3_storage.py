"""Storage in S3 or a compatible server (`AWS_ENDPOINT_URL`), with the credentials of the AWS chain.

Throttling (503 SlowDown), other 5xx answers, time-outs and lost connections are tried again with full jitter,
by botocore's `standard` mode for requests and by `retry` for what botocore leaves to its caller: bodies that
break off, and conditional writes that met another in flight.

An upload in parts shows under its key only once complete, so a process killed in the middle leaves no object.
Its parts stay and are billed: give the bucket a lifecycle rule `AbortIncompleteMultipartUpload`.

With `CHEX_S3_KMS_KEY_ID` set, every object is encrypted with that KMS key, whatever the bucket's default is.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chex_api.attempt import KMS_KEY_VARIABLE
from chex_jobs.artifacts.disk import is_full
from chex_jobs.artifacts.errors import StorageFull
from chex_jobs.artifacts.location import Location, checked_folder, checked_key, common_folder
from chex_jobs.artifacts.retry import call_with_retries
from chex_jobs.artifacts.s3_errors import body_broke_off, code_of, reporting, status_of
from chex_jobs.artifacts.storage import ObjectInfo, ObjectStamp, Storage

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig

MIB = 1024 * 1024
PART_BYTES = 16 * MIB  # the AWS guidance is 8 to 16 MiB; 10,000 parts then hold an object of 156 GiB
PARALLEL_PARTS = 8  # per transfer; one process ends near one core of byte handling well before that
CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 10  # pauses of at most 1, 2, 4, 8, 16 and then 20 seconds: about a minute of throttling is sat out
WRITES = ("PutObject", "CreateMultipartUpload")
"""The requests that name an object's encryption; its parts follow the request that began the upload."""


class S3Storage(Storage):
    """Objects below `s3://bucket/prefix`.

    The client is made at the first request and never shared over a fork.
    """

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        self._lock = threading.Lock()
        self._client: Any = None
        self._client_pid = 0

    def read_bytes(self, key: str) -> bytes:
        with reporting(self.uri_of(key), "read"):
            return call_with_retries(lambda: self._get_once(key), body_broke_off)

    def read_start(self, key: str, length: int) -> bytes:
        with reporting(self.uri_of(key), "read"):
            return call_with_retries(lambda: self._get_start_once(key, length), body_broke_off)

    def write_bytes(self, key: str, data: bytes) -> None:
        with reporting(self.uri_of(key), "write"):
            self._client_of_process().put_object(**self._at(key), Body=data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with reporting(self.uri_of(key), "write"):
            return call_with_retries(lambda: self._put_once(key, data), _met_another_write)

    @contextmanager
    def staged(self, key: str) -> Iterator[Path]:
        checked_key(key)
        with _reporting_full_disk(), tempfile.TemporaryDirectory(prefix="chex-upload-") as directory:
            path = Path(directory) / "object"
            path.touch()
            yield path
            self.upload(key, path)

    def upload(self, key: str, path: Path) -> None:
        with reporting(self.uri_of(key), "write"):
            at = self._at(key)
            self._client_of_process().upload_file(
                str(path), at["Bucket"], at["Key"], Config=_transfer_config()
            )

    def download(self, key: str, path: Path) -> None:
        with reporting(self.uri_of(key), "read"):
            at = self._at(key)
            self._client_of_process().download_file(
                at["Bucket"], at["Key"], str(path), Config=_transfer_config()
            )

    def list(self, folder: str = "") -> Iterator[ObjectInfo]:
        root = f"{self.location.prefix}/" if self.location.prefix else ""
        with reporting(self.uri_of(folder), "list"):
            pages = self._client_of_process().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.location.bucket, Prefix=root + checked_folder(folder)):
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(root)
                    if key and not key.endswith("/"):  # a console makes empty objects named "folder/"
                        yield ObjectInfo(key, found["Size"], found["ETag"].strip('"'))

    def stamps(self, folder: str = "") -> dict[str, ObjectStamp]:
        return {found.key: ObjectStamp(found.size, found.etag) for found in self.list(folder)}

    def infos(
        self, keys: Collection[str], on_looked_at: Callable[[int], None] = lambda _: None
    ) -> dict[str, ObjectInfo]:
        wanted, found = set(keys), dict[str, ObjectInfo]()
        for info in self.list(common_folder(wanted)):
            if info.key in wanted:
                found[info.key] = info
                on_looked_at(len(found))
        return found

    def folders(self, folder: str = "") -> tuple[str, ...]:
        root = f"{self.location.prefix}/" if self.location.prefix else ""
        above, names = root + checked_folder(folder), set[str]()
        with reporting(self.uri_of(folder), "list"):
            pages = self._client_of_process().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.location.bucket, Prefix=above, Delimiter="/"):
                names |= {each["Prefix"][len(above) : -1] for each in page.get("CommonPrefixes", ())}
        return tuple(sorted(names))

    def info(self, key: str) -> ObjectInfo:
        with reporting(self.uri_of(key), "read"):
            head = self._client_of_process().head_object(**self._at(key))
        return ObjectInfo(key, head["ContentLength"], head["ETag"].strip('"'))

    def delete(self, key: str) -> None:
        with reporting(self.uri_of(key), "delete"):
            self._client_of_process().delete_object(**self._at(key))

    def _get_once(self, key: str) -> bytes:
        return self._client_of_process().get_object(**self._at(key))["Body"].read()

    def _get_start_once(self, key: str, length: int) -> bytes:
        from botocore.exceptions import ClientError

        try:
            found = self._client_of_process().get_object(**self._at(key), Range=f"bytes=0-{length - 1}")
        except ClientError as error:
            if status_of(error) == 416:  # an object without bytes has no first ones
                return b""
            raise
        return found["Body"].read()

    def _put_once(self, key: str, data: bytes) -> bool:
        from botocore.exceptions import ClientError

        try:
            self._client_of_process().put_object(**self._at(key), Body=data, IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) != 412:
                raise
            # The first of two tries may have stored the object and lost only the answer: then it is ours.
            retried = error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
            return retried and self._get_once(key) == data
        return True

    def _at(self, key: str) -> dict[str, str]:
        checked_key(key)
        full = f"{self.location.prefix}/{key}" if self.location.prefix else key
        return {"Bucket": self.location.bucket, "Key": full}

    def _client_of_process(self) -> Any:
        with self._lock:
            if self._client is None or self._client_pid != os.getpid():
                self._client = _new_client()
                self._client_pid = os.getpid()
            return self._client


def _new_client() -> Any:
    import boto3.session
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=2 * PARALLEL_PARTS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    # A session of its own: boto3's default session is not safe to make clients from in several threads.
    client = boto3.session.Session().client("s3", config=config)
    if kms_key := os.environ.get(KMS_KEY_VARIABLE):
        _encrypt_writes(client, kms_key)
    return client


def _encrypt_writes(client: Any, kms_key: str) -> None:
    """Let the client name the key in every write: a caller that forgot it would be found by nobody."""

    def name_the_key(params: dict[str, Any], **_about: Any) -> None:
        params.update(ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)

    for write in WRITES:
        client.meta.events.register(f"before-parameter-build.s3.{write}", name_the_key)


def _transfer_config() -> "TransferConfig":
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(
        multipart_threshold=2 * PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARALLEL_PARTS
    )


@contextmanager
def _reporting_full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise StorageFull(
            f"no space left in {tempfile.gettempdir()}, where files wait for their upload: free space there, or "
            "set TMPDIR to a larger disk, then run the same command again"
        ) from error


def _met_another_write(error: Exception) -> bool:
    return code_of(error) == "ConditionalRequestConflict"
