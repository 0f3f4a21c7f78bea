"""What botocore and s3transfer raise: whether it passes, and how it is told. Imported without boto3.

What passes (`is_passing`) is waited for: throttling, 5xx answers, lost connections, bodies that break off. What does not has a
sentence of its own, and is told at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chex_jobs.artifacts.errors import (
    ArtifactError,
    InvalidLocation,
    ObjectNotFound,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
)

_MISSING = {"NoSuchKey", "404", "NotFound"}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"}
_PASSING = {
    "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "TooManyRequests", "RequestLimitExceeded",
    "BandwidthLimitExceeded", "RequestTimeout", "RequestTimeoutException", "InternalError", "ServiceUnavailable",
    "ConditionalRequestConflict", "OperationAborted",
}  # fmt: skip
_PASSING_STATUS = {408, 429, 500, 502, 503, 504}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_REFUSED = _EXPIRED | {"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "SignatureDoesNotMatch"}
_OTHER_REGION = {
    "PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "InvalidRegion",
    "IncorrectEndpoint",
}  # fmt: skip
_SKEWED = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_CHECKSUM = {
    "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidChecksum",
    "MalformedTrailerError",
}  # fmt: skip
_CHECKSUM_WORDS = (
    "checksum",
    "trailer",
    "transfer-encoding",
    "aws-chunked",
    "content-encoding",
    "content-sha256",
)
_CONDITION_WORDS = ("if-none-match", "conditional", "precondition")
_CERTIFICATE_WORDS = ("CERTIFICATE_VERIFY_FAILED", "certificate", "Hostname mismatch", "WRONG_VERSION_NUMBER")


@contextmanager
def reporting(uri: str, act: str) -> Iterator[None]:
    """Translate what an S3 request raises. `act` is the verb of the message: read, write, list, delete."""
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        translated = _translated(_cause(error), uri, act)
        if translated is None:
            raise
        raise translated from error


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed later without anybody mending anything."""
    from boto3.exceptions import RetriesExceededError
    from botocore.exceptions import (
        ClientError,
        HTTPClientError,
        IncompleteReadError,
        MetadataRetrievalError,
        ResponseStreamingError,
        SSLError,
    )
    from botocore.exceptions import ConnectionError as Unconnected

    error = _cause(error)
    if isinstance(error, RetriesExceededError):  # of a body, by an exception of the socket
        return True
    if isinstance(error, ClientError):
        return code_of(error) in _PASSING or status_of(error) in _PASSING_STATUS
    if isinstance(error, SSLError):
        return not _is_certificate(error)
    lost = (
        Unconnected | HTTPClientError | IncompleteReadError | MetadataRetrievalError | ResponseStreamingError
    )
    return isinstance(error, lost)


def credentials_refused(error: Exception) -> bool:
    """Whether others may be let in: the answer was about who asked. An answer to HEAD has no code, only a status."""
    error = _cause(error)
    return code_of(error) in _REFUSED | {"400", "401", "403"}


def code_of(error: Exception) -> str:
    """The S3 error code (`SlowDown`, `NoSuchKey`, or a status where the answer has no body), or ""."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def status_of(error: Exception) -> int:
    """The HTTP status of an S3 error, or 0."""
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _response(error: Exception) -> dict[str, Any]:
    return getattr(error, "response", None) or {}


def _cause(error: Exception) -> Exception:
    """What happened, where `upload_file` and `download_file` wrap it and lose its code."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    cause = getattr(error, "last_exception", None) or error.__context__
    if isinstance(error, Boto3Error) and isinstance(cause, BotoCoreError | ClientError):
        return cause
    return error


def _is_certificate(error: Exception) -> bool:
    return any(word in str(error) for word in _CERTIFICATE_WORDS)


def _translated(error: Exception, uri: str, act: str) -> ArtifactError | None:
    """None for exceptions that are not S3's: own mistakes keep their traceback."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _of_answer(error, uri, act)
    if isinstance(error, BotoCoreError):
        return _without_answer(error, uri, act)
    if isinstance(error, Boto3Error):
        return StorageUnavailable(f"cannot {act} {uri}: {error}")
    return None


def _without_answer(error: Exception, uri: str, act: str) -> ArtifactError:
    from botocore.exceptions import (
        CredentialRetrievalError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
        ProxyConnectionError,
        SSLError,
    )

    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StorageDenied(
            f"cannot {act} {uri}: no AWS credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "AWS_PROFILE, or give the Pod's ServiceAccount a role"
        )
    if isinstance(error, CredentialRetrievalError):
        return StorageDenied(f"cannot {act} {uri}: {error}; mend the source of the AWS credentials")
    if isinstance(error, SSLError) and _is_certificate(error):
        return InvalidLocation(
            f"cannot {act} {uri}: the endpoint's certificate is not trusted ({error}); set AWS_CA_BUNDLE to the PEM file of the "
            "certificate authority, and AWS_ENDPOINT_URL to a name that the certificate holds (http:// for a server without TLS)"
        )
    if isinstance(error, ProxyConnectionError):
        return StorageUnavailable(
            f"cannot {act} {uri}: {error}; check HTTPS_PROXY and HTTP_PROXY, or name the endpoint in NO_PROXY"
        )
    if isinstance(error, NoRegionError):
        return InvalidLocation(f"cannot {act} {uri}: no region is set; set AWS_REGION")
    return StorageUnavailable(f"cannot {act} {uri}: {error}; check AWS_ENDPOINT_URL and the network")


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
    return _of_settings(error, uri, act) or _of_refusal(error, uri, act)


def _of_settings(error: Exception, uri: str, act: str) -> ArtifactError | None:
    """What is neither away nor forbidden, but set otherwise here or there."""
    code, status, said = code_of(error), status_of(error), str(error).lower()
    if code in _OTHER_REGION or status == 301:
        return InvalidLocation(
            f"cannot {act} {uri}: the bucket lies in another region{_region_told(error)} ({code}); set AWS_REGION to it"
        )
    if code in _SKEWED:
        return StorageDenied(
            f"cannot {act} {uri}: this machine's clock differs too much from the storage's ({code}); set it (NTP), then run the "
            "same command again"
        )
    if code in _CHECKSUM or (_not_understood(code, status) and any(word in said for word in _CHECKSUM_WORDS)):
        return InvalidLocation(
            f"cannot {act} {uri}: the storage refuses the checksums that are sent with requests ({code}); set "
            "AWS_REQUEST_CHECKSUM_CALCULATION=when_required and AWS_RESPONSE_CHECKSUM_VALIDATION=when_required"
        )
    if _not_understood(code, status) and (act == "write" and any(word in said for word in _CONDITION_WORDS)):
        return InvalidLocation(
            f"cannot {act} {uri}: the storage knows no conditional writes (`If-None-Match: *`, {code}), which manifests need; "
            "use a storage that honours them"
        )
    return None


def _of_refusal(error: Exception, uri: str, act: str) -> ArtifactError:
    code, status = code_of(error), status_of(error)
    if code in _EXPIRED:
        return StorageDenied(
            f"cannot {act} {uri}: the AWS credentials have expired ({code}) and no newer ones are where they were found; renew "
            "them (`aws sso login`, or whatever writes their file), then run the same command again"
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
    if is_passing(error):
        return StorageUnavailable(
            f"cannot {act} {uri}: {code or status} after retries; the storage is overloaded or faulty"
        )
    return InvalidLocation(
        f"cannot {act} {uri}: the storage does not take the request ({code or status}: {_said(error)}); check AWS_ENDPOINT_URL, "
        "AWS_REGION and what the storage supports"
    )


def _not_understood(code: str, status: int) -> bool:
    return status in (400, 411, 501) or code == "NotImplemented"


def _region_told(error: Exception) -> str:
    response = _response(error)
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or response.get("Error", {}).get("Region")
    return f", {region}" if region else ""


def _said(error: Exception) -> str:
    return " ".join(str(_response(error).get("Error", {}).get("Message", "")).split())[:200]
