"""As many creates as one HTTP client gets through: what the machine and the API server allow without any operator."""

import asyncio
import json
import ssl
import time
from collections.abc import Iterator, Sequence

import aiohttp

from chex_operator.runtime.resource import Object
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient

Create = tuple[str, bytes]
"""Path of a collection, and a body."""
AT_ONCE = 16
"""As many as the operator's passes at a time."""


def creates_per_second(server: ApiClient, creates: Sequence[Create]) -> float:
    """Plain creates, a connection for each of `AT_ONCE`."""
    return asyncio.run(_measure(server, creates))


def creates_of(paths_and_bodies: Iterator[tuple[str, Object]]) -> list[Create]:
    """Encoded before the clock starts."""
    return [(path, json.dumps(body, separators=(",", ":")).encode()) for path, body in paths_and_bodies]


def session(server: ApiClient) -> aiohttp.ClientSession:
    """Of an administrator, for one event loop."""
    tls = ssl.create_default_context(cafile=str(server.certificate))
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=tls)
    return aiohttp.ClientSession(connector=connector, headers=headers)


async def _measure(server: ApiClient, creates: Sequence[Create]) -> float:
    waiting = iter(creates)
    async with session(server) as client:

        async def worker() -> None:
            for path, body in waiting:
                async with client.post(server.url + path, data=body) as answer:
                    told = await answer.read()
                    assert answer.status == 201, told[:500]

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        return len(creates) / (time.perf_counter() - began)
