"""Storage in S3 or a compatible server (`AWS_ENDPOINT_URL`), with the credentials of the AWS chain.

Throttling (503 SlowDown), other 5xx answers, time-outs, lost connections, bodies that break off and conditional writes
that met another in flight are tried again: within seconds by botocore, then by `retry` until the storage is back or a
quarter of an hour is over (`CHEX_S3_PATIENCE_SECONDS`). What no waiting mends is told at once (`s3_errors`).

An upload in parts shows under its key only once complete, so a process killed in the middle leaves no object.
Its parts stay and are billed: give the bucket a lifecycle rule `AbortIncompleteMultipartUpload`.

With `CHEX_S3_KMS_KEY_ID` set, every object is encrypted with that KMS key, whatever the bucket's default is.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chex_jobs.artifacts.disk import temporary_folder
from chex_jobs.artifacts.location import Location, checked_folder, checked_key, common_folder
from chex_jobs.artifacts.retry import Backoff, call_with_retries
from chex_jobs.artifacts.s3_client import PARALLEL_PARTS, S3Client
from chex_jobs.artifacts.s3_errors import is_passing, reporting, status_of
from chex_jobs.artifacts.storage import ObjectInfo, ObjectStamp, Storage

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig

T = TypeVar("T")

MIB = 1024 * 1024
PART_BYTES = 16 * MIB  # the AWS guidance is 8 to 16 MiB; 10,000 parts then hold an object of 156 GiB


class S3Storage(Storage):
    """Objects below `s3://bucket/prefix`.

    The client is made at the first request and never shared over a fork.
    """

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        self._client = S3Client()

    def read_bytes(self, key: str) -> bytes:
        at = self._at(key)
        return self._call("read", key, lambda client: client.get_object(**at)["Body"].read())

    def read_start(self, key: str, length: int) -> bytes:
        at = self._at(key)
        return self._call("read", key, lambda client: _get_start(client, at, length))

    def write_bytes(self, key: str, data: bytes) -> None:
        at = self._at(key)
        self._call("write", key, lambda client: client.put_object(**at, Body=data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        at = self._at(key)
        tries = 0

        def put(client: Any) -> bool:
            nonlocal tries
            tries += 1
            return _put_once(client, at, data, repeated=tries > 1)

        return self._call("write", key, put)

    @contextmanager
    def staged(self, key: str) -> Iterator[Path]:
        checked_key(key)
        with temporary_folder("chex-upload-") as folder:
            path = folder / "object"
            path.touch()
            yield path
            self.upload(key, path)

    def upload(self, key: str, path: Path) -> None:
        at = self._at(key)
        self._call(
            "write",
            key,
            lambda client: client.upload_file(str(path), at["Bucket"], at["Key"], Config=_transfer_config()),
        )

    def download(self, key: str, path: Path) -> None:
        at = self._at(key)
        self._call(
            "read",
            key,
            lambda client: client.download_file(
                at["Bucket"], at["Key"], str(path), Config=_transfer_config()
            ),
        )

    def list(self, folder: str = "") -> Iterator[ObjectInfo]:
        root = f"{self.location.prefix}/" if self.location.prefix else ""
        for page in self._pages(folder):
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
        above = self._below_root(folder)
        pages = self._pages(folder, Delimiter="/")
        names = {each["Prefix"][len(above) : -1] for page in pages for each in page.get("CommonPrefixes", ())}
        return tuple(sorted(names))

    def info(self, key: str) -> ObjectInfo:
        at = self._at(key)
        head = self._call("read", key, lambda client: client.head_object(**at))
        return ObjectInfo(key, head["ContentLength"], head["ETag"].strip('"'))

    def delete(self, key: str) -> None:
        at = self._at(key)
        self._call("delete", key, lambda client: client.delete_object(**at))

    def _call(self, act: str, key: str, use: Callable[[Any], T]) -> T:
        """The one way to the server: `use(client)` with retries, its failure told as `act` on `key`."""
        uri = self.uri_of(key)
        with reporting(uri, act):
            return call_with_retries(
                lambda: self._client.call(use), is_passing, f"{act} {uri}", Backoff.of_environment()
            )

    def _pages(self, folder: str, **asked: str) -> Iterator[dict[str, Any]]:
        """The pages of a listing, each tried by itself: an outage in the middle costs no page that was read."""
        at = {"Bucket": self.location.bucket, "Prefix": self._below_root(folder)} | asked
        while True:
            page = self._call("list", folder, partial(_list_once, at))
            yield page
            if not page.get("IsTruncated"):
                return
            at = at | {"ContinuationToken": page["NextContinuationToken"]}

    def _below_root(self, folder: str) -> str:
        root = f"{self.location.prefix}/" if self.location.prefix else ""
        return root + checked_folder(folder)

    def _at(self, key: str) -> dict[str, str]:
        checked_key(key)
        full = f"{self.location.prefix}/{key}" if self.location.prefix else key
        return {"Bucket": self.location.bucket, "Key": full}


def _list_once(at: dict[str, str], client: Any) -> dict[str, Any]:
    return client.list_objects_v2(**at)


def _get_start(client: Any, at: dict[str, str], length: int) -> bytes:
    from botocore.exceptions import ClientError

    try:
        found = client.get_object(**at, Range=f"bytes=0-{length - 1}")
    except ClientError as error:
        if status_of(error) == 416:  # an object without bytes has no first ones
            return b""
        raise
    return found["Body"].read()


def _put_once(client: Any, at: dict[str, str], data: bytes, *, repeated: bool) -> bool:
    """Put unless there is one. `repeated`: an earlier try of ours may have stored it and lost only the answer."""
    from botocore.exceptions import ClientError

    try:
        client.put_object(**at, Body=data, IfNoneMatch="*")
    except ClientError as error:
        if status_of(error) != 412:
            raise
        repeated = repeated or error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
        return repeated and client.get_object(**at)["Body"].read() == data
    return True


def _transfer_config() -> "TransferConfig":
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(
        multipart_threshold=2 * PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARALLEL_PARTS
    )
