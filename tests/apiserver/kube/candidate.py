"""A process that stands for election. Its own module, because a new process must be able to import it."""

import asyncio
import ssl
import time
from multiprocessing.connection import Connection as Pipe

from chex_operator.kube.client import Client
from chex_operator.kube.clock import SystemClock
from chex_operator.kube.connection import Connection
from chex_operator.kube.election import Election, ElectionTiming
from tests.apiserver.control_plane import ADMIN_TOKEN

NAMESPACE = "default"
QUICK = ElectionTiming(lease_seconds=10, renew_deadline_seconds=7.0, retry_seconds=0.5)
"""Quicker than in a cluster; a machine that stands still for some seconds costs no leadership yet."""


class Admin:
    """The tests' token, for `Connection`."""

    async def authorization(self) -> str | None:
        return f"Bearer {ADMIN_TOKEN}"

    async def renew(self, refused: str | None) -> bool:
        return False


def client_of(port: int, certificates: list[bytes]) -> Client:
    tls = ssl.create_default_context(cadata="".join(map(ssl.DER_cert_to_PEM_cert, certificates)))
    return Client(Connection(f"https://127.0.0.1:{port}", tls, Admin()))


def candidate(port: int, certificates: list[bytes], name: str, identity: str, tell: Pipe) -> None:
    """Stand for election, and tell the identity and the moment when this process leads."""

    async def stand() -> None:
        async with client_of(port, certificates) as client:
            election = Election(
                client, SystemClock(), namespace=NAMESPACE, name=name, identity=identity, timing=QUICK
            )
            running = asyncio.create_task(election.run())
            await election.elected.wait()
            tell.send((identity, time.monotonic()))  # one clock for all processes of a Linux machine
            await running

    asyncio.run(stand())
