"""Where the API server is, how it proves to be that, and how we prove who we are."""

import asyncio
import base64
import logging
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from chex_api.proxies import proxy_for

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a Pod finds its token and the certificate authority of its API server."""
KUBECONFIG = "~/.kube/config"

logger = logging.getLogger(__name__)


class NoConnection(Exception):
    """It is not said where the API server is, or not completely; the message says what is missing."""


class Credentials(Protocol):
    """Who we are, as an `Authorization` header."""

    async def authorization(self) -> str | None:
        """The header's value; None for whoever shows a client certificate, or nothing."""
        ...

    async def renew(self, refused: str | None) -> bool:
        """Look for another value after `refused` was answered with 401. False when there is none."""
        ...


@dataclass(frozen=True)
class Connection:
    """How to reach one API server.

    Attributes:
        server: Such as `https://10.0.0.1:443`, without a slash at the end.
        tls: Checks the server's certificate; may hold ours.
        server_name: The name in the server's certificate, where it is not the one in `server`.
        proxy: URL of an HTTP proxy: a kubeconfig's `proxy-url`, else that of the environment (`chex_api.proxies`).
    """

    server: str
    tls: ssl.SSLContext
    credentials: Credentials
    server_name: str | None = None
    proxy: str | None = None


class TokenFile:
    """A bearer token in a file, read again when the file changes: kubelet rotates projected tokens hourly."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._header: str | None = None

    async def authorization(self) -> str | None:
        state = self._path.stat()  # follows the link that kubelet swaps
        stamp = (state.st_ino, state.st_mtime_ns, state.st_size)
        if stamp != self._seen:
            self._read()
            self._seen = stamp
        return self._header

    async def renew(self, refused: str | None) -> bool:
        self._read()
        return self._header != refused

    def _read(self) -> None:
        token = self._path.read_text().strip()
        if token:  # empty: being written; the one before may still do
            self._header = f"Bearer {token}"


def in_cluster(folder: Path = SERVICE_ACCOUNT, environment: Mapping[str, str] | None = None) -> Connection:
    """The connection that every Pod is given.

    Raises:
        NoConnection: This is no Pod, or one without a token.
    """
    environment = os.environ if environment is None else environment
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise NoConnection("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no Pod")
    token, authority = folder / "token", folder / "ca.crt"
    for needed in (token, authority):
        if not needed.is_file() or not needed.stat().st_size:
            raise NoConnection(f"{needed} is missing or empty: is automountServiceAccountToken off?")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    tls = ssl.create_default_context(cafile=str(authority))
    return Connection(server, tls, TokenFile(token), proxy=proxy_for(server, environment))


async def from_kubeconfig(path: str | None = None, context: str | None = None) -> Connection:
    """The connection that a kubeconfig describes, exec plugins, token files and client certificates included.

    Args:
        path: None for `$KUBECONFIG`, then `~/.kube/config`.
        context: None for the current one.

    Raises:
        NoConnection: There is no such file or context, or it cannot be used.
    """
    user = _KubeconfigUser(
        path or os.environ.get("KUBECONFIG") or str(Path(KUBECONFIG).expanduser()), context
    )
    configuration = await user.load()
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        logger.warning("the kubeconfig forbids checking who the API server is (insecure-skip-tls-verify)")
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    server = str(configuration.host).rstrip("/")
    proxy = configuration.proxy or proxy_for(server, os.environ)
    return Connection(server, tls, user, configuration.tls_server_name, proxy)


async def connection_from_environment() -> Connection:
    """That of `$KUBECONFIG` where it is set, else that of the Pod, else that of `~/.kube/config`.

    Raises:
        NoConnection: There is none.
    """
    if os.environ.get("KUBECONFIG"):
        return await from_kubeconfig()
    try:
        return in_cluster()
    except NoConnection:
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            raise
    return await from_kubeconfig()


class _KubeconfigUser:
    """The user of a context. Asked again after a 401, because tokens of plugins and of files come to an end."""

    def __init__(self, path: str, context: str | None) -> None:
        self._path, self._context = path, context
        self._header: str | None = None
        self._one_at_a_time = asyncio.Lock()

    async def load(self) -> Any:
        # Here, because the generated client takes 30 MiB that a Pod's operator does not need; its image does without.
        try:
            from kubernetes.aio import config
            from kubernetes.aio.client.configuration import Configuration
        except ModuleNotFoundError as missing:
            raise NoConnection(
                f"{self._path} cannot be read: install the kubernetes library (chexdragon[kubeconfig])"
            ) from missing

        configuration = cast(Any, Configuration)()
        try:
            await cast(Any, config).load_kube_config(
                self._path, context=self._context, client_configuration=configuration, persist_config=False
            )
        except (config.ConfigException, OSError, ValueError) as fault:
            raise NoConnection(f"{self._path}: {fault}") from fault
        self._header = configuration.api_key.get("BearerToken") or _basic(configuration)
        return configuration

    async def authorization(self) -> str | None:
        return self._header

    async def renew(self, refused: str | None) -> bool:
        async with self._one_at_a_time:
            if self._header != refused:
                return True  # whoever came first has done it
            await self.load()
            return self._header != refused


def _basic(configuration: Any) -> str | None:
    if not configuration.username:
        return None
    pair = f"{configuration.username}:{configuration.password or ''}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
