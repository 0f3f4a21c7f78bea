"""Starting and stopping S3 servers on a free port of the loopback."""

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.patience import PATIENCE_SECONDS
from tests.s3.versitygw import binary

BUCKET = "chex-tests"
ACCESS_KEY = "chex-test-key"
SECRET_KEY = "chex-test-secret"


@dataclass(frozen=True)
class S3Server:
    """A running server with one empty bucket. `endpoint` is its URL."""

    endpoint: str
    bucket: str = BUCKET

    @property
    def environment(self) -> dict[str, str]:
        """What a process must have in its environment to use this server, and no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def behind(self, endpoint: str) -> "S3Server":
        """The same server, reached through a proxy at this URL."""
        return replace(self, endpoint=endpoint)


@contextmanager
def versitygw(directory: Path) -> Iterator[S3Server]:
    """versitygw over an empty directory. Metadata lies beside the data: not every machine has xattrs."""
    for part in ("data", "metadata"):
        (directory / part).mkdir(parents=True)
    port = _free_port()
    keys = ["--access", ACCESS_KEY, "--secret", SECRET_KEY]
    command = [str(binary()), "--quiet", "--port", f"127.0.0.1:{port}", *keys]
    posix = ["posix", "--sidecar", str(directory / "metadata"), str(directory / "data")]
    with _running([*command, *posix], port, directory / "versitygw.log") as server:
        yield server


@contextmanager
def moto(directory: Path) -> Iterator[S3Server]:
    """moto's stand-alone server, which keeps everything in memory."""
    directory.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, directory / "moto.log") as server:
        yield server


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[S3Server]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=_die_with_parent)
    try:
        _wait_until_it_listens(process, port, log)
        server = S3Server(f"http://127.0.0.1:{port}")
        _create_bucket(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _die_with_parent() -> None:
    """Ask Linux to end the server when the test run is killed and cannot."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args} does not listen on port {port}:\n{log.read_text()[-2000:]}")


def _create_bucket(server: S3Server) -> None:
    import boto3.session

    session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
    session.client("s3", endpoint_url=server.endpoint).create_bucket(Bucket=server.bucket)
