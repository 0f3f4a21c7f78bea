import asyncio

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from chex_operator.kube.endpoints import serve_endpoints
from chex_operator.kube.metrics import Metrics
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock

LOOPBACK = "127.0.0.1"


async def ask(port: int, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and text."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{LOOPBACK}:{port}{path}") as answer,
    ):
        return answer.status, answer.headers["Content-Type"], await answer.text()


def test_a_process_whose_event_loop_runs_is_alive_even_when_it_is_not_ready() -> None:
    async def story() -> None:
        async with serve_endpoints(0, lambda: ["pods"], lambda: b"", host=LOOPBACK) as port:
            assert (await ask(port, "/healthz"))[0] == 200

    asyncio.run(story())


def test_readiness_names_what_is_missing_until_nothing_is() -> None:
    async def story() -> None:
        missing = {"rayjobs", "pods"}
        async with serve_endpoints(0, lambda: missing, lambda: b"", host=LOOPBACK) as port:
            status, _, text = await ask(port, "/readyz")
            assert (status, text) == (503, "waiting for: pods, rayjobs")
            missing.clear()
            assert (await ask(port, "/readyz"))[0] == 200

    asyncio.run(story())


def test_the_metrics_are_what_prometheus_parses() -> None:
    async def story() -> None:
        metrics = Metrics(VirtualClock())
        metrics.pass_ended("ok", 0.5)
        async with serve_endpoints(0, tuple, metrics.page, host=LOOPBACK) as port:
            status, content_type, text = await ask(port, "/metrics")
        assert status == 200
        assert content_type.startswith("text/plain; version=")
        names = {family.name for family in text_string_to_metric_families(text)}
        assert "chex_operator_reconcile_seconds" in names

    asyncio.run(story())


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/debug", "GET", 404), ("/metrics", "POST", 405)]
)
def test_nothing_else_is_served(path: str, method: str, status: int) -> None:
    async def story() -> None:
        async with serve_endpoints(0, tuple, lambda: b"", host=LOOPBACK) as port:
            assert (await ask(port, path, method))[0] == status

    asyncio.run(story())


def test_a_port_that_is_taken_is_an_error_at_the_start() -> None:
    async def story() -> None:
        async with serve_endpoints(0, tuple, lambda: b"", host=LOOPBACK) as port:
            with pytest.raises(OSError, match="address"):
                async with serve_endpoints(port, tuple, lambda: b"", host=LOOPBACK):
                    pass

    asyncio.run(story())


def test_every_address_of_the_pod_is_served_by_default() -> None:
    async def story() -> None:
        async with serve_endpoints(0, tuple, lambda: b"", host=LOOPBACK) as free:
            pass
        async with serve_endpoints(free, tuple, lambda: b"") as port:
            assert port == free
            assert (await ask(port, "/healthz"))[0] == 200

    asyncio.run(story())


def test_a_port_that_is_free_is_reached_by_ipv4() -> None:
    """The system gives IPv4 and IPv6 a port each, in an order that changes."""

    async def story() -> None:
        for _ in range(8):
            async with serve_endpoints(0, tuple, lambda: b"") as port:
                assert (await ask(port, "/healthz"))[0] == 200

    asyncio.run(story())
