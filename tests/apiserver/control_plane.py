"""A real etcd, kube-apiserver and kube-controller-manager on loopback, for as long as a test session lasts.

There is no scheduler and no kubelet: `ray_engine` plays both for the Pods that tests need.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.patience import PATIENCE_SECONDS

ADMIN_TOKEN = "chex-test-admin"
CONTROLLERS_TOKEN = "chex-test-controller-manager"
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "serviceaccount-controller",  # makes the account `default` of each namespace, without which no Pod is admitted
)
IDLE_SECONDS = 20.0
"""A connection that was not used for longer is not trusted."""
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class ControlPlaneFailed(Exception):
    """A process ended or did not become ready; the message holds the end of its log."""


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    code: int
    body: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether the request was carried out."""
        return 200 <= self.code < 300

    @property
    def message(self) -> str:
        """The reason of a refusal."""
        return str(self.body.get("message", ""))


class ApiClient:
    """One kept-alive connection. Bodies go out as they are, so that a manifest's YAML is judged as it was written."""

    def __init__(self, port: int, certificate: Path, token: str = ADMIN_TOKEN) -> None:
        self.certificate = certificate
        self._context = ssl.create_default_context(cafile=str(certificate))
        self._port, self._token = port, token
        self._connection = self._connect()
        self._used = time.monotonic()

    @property
    def url(self) -> str:
        """Where other clients reach this server."""
        return f"https://127.0.0.1:{self._port}"

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self._port, context=self._context, timeout=PATIENCE_SECONDS
        )

    def request(
        self,
        method: str,
        path: str,
        body: str | None = None,
        content_type: str = "application/yaml",
        accept: str = "application/json",
    ) -> Answer:
        """Send one request. Raises `OSError` where the server cannot be reached."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()  # the server may have done so too; the next request opens it again
        self._used = time.monotonic()
        try:
            self._connection.request(method, path, body.encode() if body is not None else None, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (http.client.HTTPException, OSError):
            self._connection.close()
            self._connection = self._connect()
            raise
        try:
            decoded = json.loads(content)
        except ValueError:
            decoded = {"message": content.decode(errors="replace")}
        return Answer(response.status, decoded if isinstance(decoded, dict) else {"message": str(decoded)})

    def create(self, collection: str, manifest: str | dict[str, Any], *, dry_run: bool = False) -> Answer:
        """Create an object, unknown and repeated fields refused, as `kubectl` does by default.

        A manifest's text goes out as YAML, plain data as JSON, which the API server reads faster.
        """
        path = collection + "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        if isinstance(manifest, str):
            return self.request("POST", path, manifest)
        return self.request("POST", path, json.dumps(manifest), "application/json")

    def again(self) -> ApiClient:
        """A connection of its own to the same server, for another thread."""
        return ApiClient(self._port, self.certificate, self._token)

    @contextmanager
    def stream(self, path: str) -> Iterator[tuple[socket.socket, Iterator[bytes]]]:
        """The lines of an answer that goes on, and the socket that another thread may shut down to end it."""
        connection = self._connect()
        connection.timeout = None
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            opened = connection.sock
            yield opened, iter(connection.getresponse().readline, b"")
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def control_plane(binaries: Path, folder: Path) -> Iterator[ApiClient]:
    """Start etcd and kube-apiserver with their state in `folder`; both are gone when the block ends.

    Nothing that only a controller does happens before `controller_manager` is started too.

    Raises:
        ControlPlaneFailed: One of them ended, or was not ready in `PATIENCE_SECONDS`.
    """
    etcd_port, peer_port, api_port = _free_ports(3)
    etcd_url = f"http://127.0.0.1:{etcd_port}"
    _write_key(folder / "service-accounts.key")
    (folder / "tokens.csv").write_text(
        f'{ADMIN_TOKEN},admin,admin,"system:masters"\n'
        f"{CONTROLLERS_TOKEN},system:kube-controller-manager,controllers\n"
    )
    etcd = [
        str(binaries / "etcd"), f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync=true",
        f"--listen-client-urls={etcd_url}", f"--advertise-client-urls={etcd_url}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
    ]  # fmt: skip
    api_server = [
        str(binaries / "kube-apiserver"), f"--etcd-servers={etcd_url}", f"--secure-port={api_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",  # the default is taken from the default route, which a sandbox may lack
        f"--cert-dir={folder / 'certificates'}",  # it signs its own certificate there
        f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        # Whoever owns a child with `blockOwnerDeletion` needs the owner's `finalizers`, as on the strictest clusters.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        f"--service-account-issuer=https://127.0.0.1:{api_port}/",
        f"--service-account-key-file={folder / 'service-accounts.key'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
    ]  # fmt: skip
    with _process(etcd, folder / "etcd.log") as etcd_process:
        _wait_for_port(etcd_port, etcd_process, folder / "etcd.log")
        with _process(api_server, folder / "kube-apiserver.log") as api_process:
            certificate = folder / "certificates" / "apiserver.crt"
            with _ready_client(api_port, certificate, api_process, folder / "kube-apiserver.log") as client:
                yield client


@contextmanager
def controller_manager(binaries: Path, folder: Path, client: ApiClient) -> Iterator[None]:
    """Run the controllers that collect garbage, end namespaces and make the Pods of Jobs.

    Start it when the CRDs are there: the garbage collector looks for new kinds every 30 s only.

    Raises:
        ControlPlaneFailed: It ended, or did nothing in `PATIENCE_SECONDS`.
    """
    kubeconfig = folder / "kube-controller-manager.kubeconfig"
    write_kubeconfig(kubeconfig, client, CONTROLLERS_TOKEN)
    command = [
        str(binaries / "kube-controller-manager"), f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(CONTROLLERS)}",
        "--use-service-account-credentials=true",  # each controller may do what Kubernetes' own roles allow it
        "--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0",  # 0: does not listen
        "--kube-api-qps=500", "--kube-api-burst=1000",
    ]  # fmt: skip
    log = folder / "kube-controller-manager.log"
    with _process(command, log) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not client.request("GET", "/api/v1/namespaces/default/serviceaccounts/default").accepted:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ControlPlaneFailed(f"kube-controller-manager did not begin to work:\n{_end_of(log)}")
            time.sleep(0.05)
        yield


def write_kubeconfig(path: Path, client: ApiClient, token: str, *, server: str | None = None) -> Path:
    """A kubeconfig for kubectl and for the operator, readable by its owner only.

    Args:
        path: Where to write it.
        client: Of the API server.
        token: Of whoever uses it.
        server: Another address for the same API server, such as that of a proxy.
    """
    cluster = {"server": server or client.url, "certificate-authority": str(client.certificate)}
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(configuration))
    return path


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, and with this one however it ends."""
    with log.open("wb") as output:
        started = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=_die_with_parent)
        try:
            yield started
        finally:
            started.kill()
            started.wait()


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _ready_client(port: int, certificate: Path, process: subprocess.Popen[bytes], log: Path) -> ApiClient:
    deadline = time.monotonic() + PATIENCE_SECONDS
    client: ApiClient | None = None
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(
            OSError, http.client.HTTPException
        ):  # no certificate yet, not listening yet, not ready yet
            client = client or ApiClient(port, certificate)
            if client.request("GET", "/readyz").code == 200:
                return client
        time.sleep(0.1)
    raise ControlPlaneFailed(f"kube-apiserver did not become ready:\n{_end_of(log)}")


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise ControlPlaneFailed(f"etcd did not become ready:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _write_key(path: Path) -> None:
    """kube-apiserver insists on a key for the tokens of service accounts."""
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    path.write_bytes(private)
    path.chmod(0o600)


def definitions_established(client: ApiClient, names: list[str], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the API server serves the custom resources of these CRDs, their published schema included.

    Raises:
        TimeoutError: It does not in time.
    """
    deadline = time.monotonic() + seconds
    waiting = set(names)
    while waiting and time.monotonic() < deadline:
        for name in sorted(waiting):
            found = client.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
            conditions = {
                each["type"]: each["status"] for each in found.body.get("status", {}).get("conditions") or []
            }
            if conditions.get("Established") == "True":
                waiting.discard(name)
        time.sleep(0.05)
    if waiting:
        raise TimeoutError(f"not established: {', '.join(sorted(waiting))}")


def name_of(manifest: str) -> str:
    """`metadata.name` of a manifest's text."""
    return str(yaml.safe_load(manifest)["metadata"]["name"])
