"""What one HTTP client gets through: what the machine and the API server allow without any operator."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import aiohttp

from chex_operator.kube.resource import JOBS, Object
from chex_operator.rendering import JobReference
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient
from tests.benchmarks.scale.admission import children, first_status
from tests.benchmarks.scale.stored import NAMESPACE, Manifest

MERGE_PATCH = "application/merge-patch+json"

Create = tuple[str, bytes]
"""Path of a collection, and a body."""
AT_ONCE = 16
"""As many as the operator's passes at a time."""


def creates_per_second(server: ApiClient, creates: Sequence[Create]) -> float:
    """Plain creates, a connection for each of `AT_ONCE`."""
    return asyncio.run(_measure(server, creates))


def creates_of(paths_and_bodies: Iterable[tuple[str, Object]]) -> list[Create]:
    """Encoded before the clock starts."""
    return [(path, json.dumps(body, separators=(",", ":")).encode()) for path, body in paths_and_bodies]


def session(server: ApiClient) -> aiohttp.ClientSession:
    """Of an administrator, for one event loop."""
    tls = ssl.create_default_context(cafile=str(server.certificate))
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=tls)
    return aiohttp.ClientSession(connector=connector, headers=headers)


async def _measure(server: ApiClient, creates: Sequence[Create]) -> float:
    async with session(server) as client:

        async def create(each: Create) -> None:
            path, body = each
            await _send(client, "POST", server.url + path, body)

        return await _per_second(creates, create)


def admissions_per_second(server: ApiClient, manifest: Manifest, count: int) -> float:
    """The writes of an admission, by an administrator who watches nothing: a job, its first status, what it needs, its next status.

    Everything that can be known before is made before: this client sends what it is told to.
    """
    return asyncio.run(_admit(server, manifest, count))


async def _admit(server: ApiClient, manifest: Manifest, count: int) -> float:
    status = first_status(manifest)
    launched = [{**status["stages"][0], "launchTime": status["startTime"]}, *status["stages"][1:]]
    statuses = [json.dumps({"status": each}).encode() for each in (status, {"stages": launched})]
    jobs = creates_of(
        (JOBS.path(NAMESPACE), manifest.named(f"bare-{number:05}", live=False)) for number in range(count)
    )
    rendered = list(children(manifest, JobReference(NAMESPACE, "bare", "UID-OF-THE-JOB", 1)))
    attempt, nameless = rendered[-1][1]["metadata"]["name"], creates_of(rendered)
    async with session(server) as client:

        async def admit(each: Create) -> None:
            path, body = each
            made = json.loads(await _send(client, "POST", server.url + path, body))["metadata"]
            told = server.url + JOBS.path(NAMESPACE, made["name"], "status")
            await _send(client, "PATCH", told, statuses[0])
            for collection, child in nameless:
                mine = child.replace(b"UID-OF-THE-JOB", made["uid"].encode())
                mine = mine.replace(attempt.encode(), made["name"].encode())
                await _send(client, "POST", server.url + collection, mine)
            await _send(client, "PATCH", told, statuses[1])

        return await _per_second(jobs, admit)


async def _send(client: aiohttp.ClientSession, method: str, url: str, body: bytes) -> bytes:
    kind = MERGE_PATCH if method == "PATCH" else "application/json"
    async with client.request(method, url, data=body, headers={"Content-Type": kind}) as answer:
        told = await answer.read()
        assert answer.ok, told[:500]
        return told


async def _per_second(work: Sequence[Create], each: Callable[[Create], Awaitable[None]]) -> float:
    """`AT_ONCE` at a time."""
    waiting = iter(work)

    async def worker() -> None:
        for one in waiting:
            await each(one)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return len(work) / (time.perf_counter() - began)
