"""The boto3 client of this process: endpoint, proxy, certificates, encryption, and credentials that change in files.

botocore renews what it got from a token file, a role or an instance by itself. What stands in the shared credentials file
it reads once; a sidecar that rotates it would have to wait for a new process. So credentials that were refused are looked
up again, and a client with others replaces the one that has them.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from chex_api.attempt import KMS_KEY_VARIABLE
from chex_api.proxies import proxy_for
from chex_jobs.artifacts.errors import InvalidLocation
from chex_jobs.artifacts.s3_errors import credentials_refused

T = TypeVar("T")

PARALLEL_PARTS = 8  # per transfer; one process ends near one core of byte handling well before that
CONNECT_SECONDS = 10
READ_SECONDS = 60
QUICK_TRIES = 3  # by botocore itself, within seconds; an outage is sat out by `retry`
RENEWALS = 3  # for each call: more would be an account that changes faster than it can be used
WRITES = ("PutObject", "CreateMultipartUpload")
"""The requests that name an object's encryption; its parts follow the request that began the upload."""

_WRITE_ENDPOINT = "write AWS_ENDPOINT_URL (or endpoint_url in the AWS configuration) with its scheme, such as https://minio.example:9000"


class S3Client:
    """Makes its boto3 client at the first call, anew after a fork and after credentials have changed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Any = None
        self._credentials: Any = None
        self._pid = 0

    def call(self, use: Callable[[Any], T]) -> T:
        """Return `use(client)`; once more with a new client if its credentials were refused and others are there now.

        Raises what `use` raises, and `InvalidLocation` for settings no client can be made of.
        """
        for _ in range(RENEWALS):
            client = self._of_process()
            try:
                return use(client)
            except Exception as error:
                if not credentials_refused(error) or not self._renew(client):
                    raise
        return use(self._of_process())

    def _of_process(self) -> Any:
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._make()
            return self._client

    def _renew(self, refused: Any) -> bool:
        """Whether there is a client with other credentials than the refused one's."""
        with self._lock:
            if self._client is not refused:
                return True  # another thread was first
            before = self._credentials
            self._make()
            return self._credentials != before

    def _make(self) -> None:
        import boto3.session
        from botocore.credentials import RefreshableCredentials

        # A session of its own: boto3's default session is not safe to make clients from in several threads.
        session = boto3.session.Session()
        self._client = _new_client(session)
        found = session.get_credentials()
        # Those that botocore renews by itself differ at each look, and looking again helps nobody.
        if found is None or isinstance(found, RefreshableCredentials):
            self._credentials = None
        else:
            self._credentials = found.get_frozen_credentials()
        self._pid = os.getpid()


def _new_client(session: Any) -> Any:
    from botocore.config import Config
    from botocore.exceptions import InvalidProxiesConfigError, ProfileNotFound

    _check_certificates()
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=2 * PARALLEL_PARTS,
        retries={"mode": "standard", "total_max_attempts": QUICK_TRIES},
    )
    try:
        client = session.client("s3", config=config)
        _check_endpoint(client.meta.endpoint_url)
        proxy = proxy_for(client.meta.endpoint_url, os.environ)
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        # botocore reads `NO_PROXY` without address ranges: it is told what they say.
        client = session.client("s3", config=config.merge(Config(proxies=proxies)))
    except ValueError as error:
        raise InvalidLocation(f"no S3 client can be made: {error}; {_WRITE_ENDPOINT}") from error
    except (InvalidProxiesConfigError, ProfileNotFound) as error:
        raise InvalidLocation(f"no S3 client can be made: {error}; correct the AWS settings") from error
    if kms_key := os.environ.get(KMS_KEY_VARIABLE):
        _encrypt_writes(client, kms_key)
    return client


def _check_endpoint(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidLocation(f"{url!r} is no S3 endpoint; {_WRITE_ENDPOINT}")


def _check_certificates() -> None:
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise InvalidLocation(
            f"AWS_CA_BUNDLE names {bundle!r}, which is not there; mount the certificate authority's PEM file, or unset it"
        )


def _encrypt_writes(client: Any, kms_key: str) -> None:
    """Let the client name the key in every write: a caller that forgot it would be found by nobody."""

    def name_the_key(params: dict[str, Any], **_about: Any) -> None:
        params.update(ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)

    for write in WRITES:
        client.meta.events.register(f"before-parameter-build.s3.{write}", name_the_key)
