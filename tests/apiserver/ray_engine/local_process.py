"""A driver that really runs what the Pod would run: a process of this Python, with the Pod's files and environment.

What a real Pod has and this has not: its image, its limits, its network, and worker Pods with processes of their own. All
work is done on one Ray node, which has the cores that the test grants.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from chex_api.attempt import MOUNTED_FOLDER
from chex_jobs.executor.local_ray import OBJECT_STORE_BYTES, SETTINGS
from chex_jobs.executor.pod_files import MOUNTED_VARIABLE, SERVICE_ACCOUNT_VARIABLE
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.ray_engine.driver import Driver
from tests.pipeline.runs import descendants

OF_PROCESSOR = ("ATEN_", "DNNL_", "MKL_", "NPY_", "ONEDNN_", "OPENBLAS_")
"""Beginnings of variables that choose kernels and so the order of additions: they are of the machine, as its processor is."""
RAY_SECONDS = 60.0
"""For a head to start, on a loaded machine."""
GRACE_SECONDS = 10.0


class RayDidNotStart(Exception):
    """The message holds the end of its log."""


class LocalNode:
    """Runs containers as processes of this machine. A `DriverRun`."""

    def __init__(self, server: ApiClient, logs: Path, *, cpus: int = 2) -> None:
        """`logs` gets a file for each container, `<attempt>.log`, and one for its Ray."""
        self._server, self._logs, self._cpus = server, logs, cpus
        self._path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    async def __call__(self, driver: Driver) -> int:
        """Run the container's program; its exit code. Cancelled, it takes all its processes with it."""
        # Short, because Ray's sockets lie there.
        folder = Path(tempfile.mkdtemp(prefix="pod-"))
        try:
            environment = self._environment(driver, folder)
            if driver.ray_job is None:
                container = driver.pod["spec"]["containers"][0]
                command = [*container.get("command", []), *container.get("args", [])]
                return await self._run(driver, command, environment, folder)
            async with self._head(driver, environment, folder) as address:
                environment["RAY_ADDRESS"] = address
                command = ["bash", "-ec", driver.ray_job["spec"]["entrypoint"]]
                return await self._run(driver, command, environment, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _environment(self, driver: Driver, folder: Path) -> dict[str, str]:
        """What the container's program sees of its Pod, the files written."""
        mounted, account = folder / "mounted", folder / "account"
        for path, text in driver.given.files.items():
            file = mounted / Path(path).relative_to(MOUNTED_FOLDER)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        environment = {
            "PATH": self._path,
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONUNBUFFERED": "1",
            **{name: value for name, value in os.environ.items() if name.startswith(OF_PROCESSOR)},
            **SETTINGS,
            **driver.given.environment,
            MOUNTED_VARIABLE: str(mounted),
        }
        if driver.token:
            account.mkdir()
            (account / "token").write_text(driver.token)
            shutil.copy(self._server.certificate, account / "ca.crt")
            address = urlsplit(self._server.url)
            environment |= {
                SERVICE_ACCOUNT_VARIABLE: str(account),
                "KUBERNETES_SERVICE_HOST": str(address.hostname),
                "KUBERNETES_SERVICE_PORT": str(address.port),
            }
        if driver.ray_job is not None and _wants_token(driver):
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        return environment

    @asynccontextmanager
    async def _head(self, driver: Driver, environment: dict[str, str], folder: Path) -> AsyncIterator[str]:
        """A Ray of one node; its address."""
        port = _free_port()
        command = [
            "ray", "start", "--head", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1",
            f"--port={port}", f"--num-cpus={self._cpus}", f"--temp-dir={folder / 'ray'}",
            f"--object-store-memory={OBJECT_STORE_BYTES}", "--include-dashboard=false",
        ]  # fmt: skip
        log = self._logs / f"{driver.run.attempt}.ray.log"
        async with _processes(command, environment, folder, log) as ray:
            address = f"127.0.0.1:{port}"
            async with asyncio.timeout(RAY_SECONDS):
                while not await _healthy(address, environment, folder):
                    if ray.returncode is not None:
                        raise RayDidNotStart(log.read_text(errors="replace")[-2000:])
            yield address

    async def _run(
        self, driver: Driver, command: list[str], environment: dict[str, str], folder: Path
    ) -> int:
        log = self._logs / f"{driver.run.attempt}.log"
        async with _processes(command, environment, folder, log) as process:
            return await process.wait()


@asynccontextmanager
async def _processes(
    command: list[str], environment: dict[str, str], folder: Path, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process, and all that it starts, gone when the block ends."""
    with log.open("ab") as output:
        program = shutil.which(command[0], path=environment["PATH"]) or command[0]
        process = await asyncio.create_subprocess_exec(
            program,
            *command[1:],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM to the process and SIGKILL to whatever is left of its tree, as at the end of a Pod."""
    below = descendants(process.pid)
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()
        except TimeoutError:
            below += descendants(process.pid)
            process.kill()
            await process.wait()
    for pid in below:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


async def _healthy(address: str, environment: dict[str, str], folder: Path) -> bool:
    """What the init container of KubeRay's workers asks."""
    command = ["ray", "health-check", "--address", address]
    async with _processes(command, environment, folder, Path(os.devnull)) as asked:
        return await asked.wait() == 0


def _wants_token(driver: Driver) -> bool:
    assert driver.ray_job is not None
    return driver.ray_job["spec"]["rayClusterSpec"].get("authOptions", {}).get("mode") == "token"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
