"""What botocore and s3transfer raise, told in this package's exceptions. Imported without boto3."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chex_jobs.artifacts.errors import (
    ArtifactError,
    ObjectNotFound,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
)

_MISSING = {"NoSuchKey", "404", "NotFound"}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"}


@contextmanager
def reporting(uri: str, act: str) -> Iterator[None]:
    """Translate what an S3 request raises. `act` is the verb of the message: read, write, list, delete."""
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        translated = _translated(error, uri, act)
        if translated is None:
            raise
        raise translated from error


def code_of(error: Exception) -> str:
    """The S3 error code (`SlowDown`, `NoSuchKey`, or a status where the answer has no body), or ""."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def status_of(error: Exception) -> int:
    """The HTTP status of an S3 error, or 0."""
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def body_broke_off(error: Exception) -> bool:
    """Whether the answer began and its body did not come whole, which botocore does not try again."""
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

    return isinstance(error, IncompleteReadError | ReadTimeoutError | ResponseStreamingError)


def _response(error: Exception) -> dict[str, Any]:
    return getattr(error, "response", None) or {}


def _translated(error: Exception, uri: str, act: str) -> ArtifactError | None:
    """None for exceptions that are not S3's: own mistakes keep their traceback."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    if isinstance(error, Boto3Error):  # upload_file and download_file wrap what happened and lose its code
        cause = error.__context__
        if isinstance(cause, BotoCoreError | ClientError):
            return _translated(cause, uri, act)
        return StorageUnavailable(f"cannot {act} {uri}: {error}")
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StorageDenied(
            f"cannot {act} {uri}: no AWS credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "AWS_PROFILE, or give the Pod's ServiceAccount a role"
        )
    if isinstance(error, ClientError):
        return _of_answer(error, uri, act)
    if isinstance(error, BotoCoreError):
        return StorageUnavailable(f"cannot {act} {uri}: {error}; check AWS_ENDPOINT_URL and the network")
    return None


def _of_answer(error: Exception, uri: str, act: str) -> ArtifactError:
    code, status = code_of(error), status_of(error)
    if code == "NoSuchBucket":
        return StorageUnavailable(
            f"cannot {act} {uri}: the bucket does not exist; create it or correct the URI"
        )
    if code in _MISSING:
        return ObjectNotFound(f"nothing is stored at {uri}")
    if code in _FULL or status == 507:
        return StorageFull(
            f"no space left to {act} {uri} ({code}): free space or raise the quota, then run the same command "
            "again; finished stages and committed checkpoints are kept"
        )
    if code.startswith("KMS."):
        return StorageDenied(
            f"cannot {act} {uri}: its KMS key cannot be used ({code}); check that the key is there, enabled and in the "
            "bucket's region, and that the role has kms:GenerateDataKey and kms:Decrypt for it"
        )
    if status in (401, 403):
        return StorageDenied(
            f"not allowed to {act} {uri} ({code}): check the credentials, the bucket's policy and, where a KMS key "
            "encrypts, the key's; without permission to list, a missing object is answered so too"
        )
    return StorageUnavailable(
        f"cannot {act} {uri}: {code or status} after retries; the storage is overloaded or faulty"
    )
