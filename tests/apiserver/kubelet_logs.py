"""The part of a kubelet that the API server asks for a container's log: an HTTPS server on loopback, and a Node that names it."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.apiserver.control_plane import ApiClient

NODES = "/api/v1/nodes"


@dataclass
class KubeletLogs:
    """A Node whose containers print what a test says, by `<namespace>/<pod>/<container>`."""

    node: str
    logs: dict[str, str] = field(default_factory=dict)


@contextmanager
def kubelet_logs(api_server: ApiClient, folder: Path, node: str) -> Iterator[KubeletLogs]:
    """A Node with its server, for the length of the block."""
    kubelet = KubeletLogs(node)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            container = self.path.partition("?")[0].removeprefix("/containerLogs/")
            log = kubelet.logs.get(container)
            self.send_response(404 if log is None else 200)
            self.end_headers()
            self.wfile.write((log if log is not None else f"no container {container}").encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    created = api_server.create(NODES, {"metadata": {"name": node}})
    assert created.accepted, created.message
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": server.server_address[1]}},
    }
    told = api_server.request(
        "PATCH", f"{NODES}/{node}/status", json.dumps({"status": status}), "application/merge-patch+json"
    )
    assert told.accepted, told.message
    try:
        yield kubelet
    finally:
        api_server.request("DELETE", f"{NODES}/{node}")
        server.shutdown()
        server.server_close()
        thread.join()


def _certificate(folder: Path) -> Path:
    """Key and certificate in one file, signed by itself: the API server does not check a kubelet's unless it is told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubelet")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "kubelet.pem"
    path.touch(mode=0o600)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
