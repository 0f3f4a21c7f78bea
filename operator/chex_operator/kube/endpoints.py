"""What kubelet and Prometheus ask over HTTP: `/healthz`, `/readyz`, `/metrics`. Nothing of a job is served."""

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

MissingParts = Callable[[], Collection[str]]
"""Names of what is not there yet, such as caches that were never filled; none when ready."""


@asynccontextmanager
async def serve_endpoints(
    port: int, missing: MissingParts, page: Callable[[], bytes], *, host: str | None = None
) -> AsyncGenerator[int]:
    """Serve for as long as the block lasts, and give the port.

    Args:
        port: 0 for any that is free; IPv4 and IPv6 may get different ones, and that of IPv4 is given.
        missing: What keeps the process from being ready.
        page: The metrics, as text.
        host: None for every address of the Pod.

    Raises:
        OSError: The port is taken.
    """
    runner = web.AppRunner(_application(missing, page), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield _port(runner)
    finally:
        await runner.cleanup()


def _port(runner: web.AppRunner) -> int:
    of_ipv4 = (address for address in runner.addresses if len(address) == 2)
    return int(next(of_ipv4, runner.addresses[0])[1])


def _application(missing: MissingParts, page: Callable[[], bytes]) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")  # an answer is the proof: the event loop runs

    async def readyz(_: web.Request) -> web.Response:
        waiting = sorted(missing())
        if waiting:
            return web.Response(status=503, text=f"waiting for: {', '.join(waiting)}")
        return web.Response(text="ok")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=page(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return application
