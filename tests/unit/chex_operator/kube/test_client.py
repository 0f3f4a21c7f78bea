import asyncio
import json
import os
import random
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import certifi
import pytest
from aiohttp import web

from chex_operator.kube.client import Client
from chex_operator.kube.connection import Connection, NoConnection, TokenFile, from_kubeconfig, in_cluster
from chex_operator.kube.errors import (
    ApiError,
    Expired,
    Forbidden,
    NotFound,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from chex_operator.kube.resource import CLUSTER_RUNTIMES, CONFIGMAPS, JOBS, PODS, Object
from chex_operator.kube.wire import WatchEvent

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
HUNG_UP = "hung up"


class ImpatientClock:
    """Notes every wait and ends it at once."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._now = 1000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._now += seconds
        await asyncio.sleep(0)


class Server:
    """Gives the answers that it was told to, in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[web.Request] = []
        self.bodies: list[Any] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        content = await request.read()
        self.bodies.append(json.loads(content) if content else None)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer == HUNG_UP:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if callable(answer):
            return await cast(Answer, answer)(request)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return web.json_response({"message": "said so"}, status=status, headers=headers)


@asynccontextmanager
async def served(server: Server) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Anonymous:
    async def authorization(self) -> str | None:
        return None

    async def renew(self, refused: str | None) -> bool:
        return False


@asynccontextmanager
async def client_of(
    server: Server, clock: ImpatientClock | None = None, credentials: Any = None, **options: Any
) -> AsyncIterator[Client]:
    async with served(server) as url:
        connection = Connection(url, ssl.create_default_context(), credentials or Anonymous())
        clock = clock or ImpatientClock()
        async with Client(connection, clock=clock, random_source=random.Random(0), **options) as client:
            yield client


async def get(client: Client) -> Object:
    return await client.get(CONFIGMAPS, "clinic", "a")


async def apply(client: Client) -> Object:
    return await client.apply(CONFIGMAPS, NAMED)


async def create(client: Client) -> Object:
    return await client.create(CONFIGMAPS, NAMED)


async def replace(client: Client) -> Object:
    return await client.replace(CONFIGMAPS, {"metadata": {**NAMED["metadata"], "resourceVersion": "1"}})


async def patch_status(client: Client) -> Object:
    return await client.patch_status(JOBS, "clinic", "a", {}, resource_version="1")


async def delete_by_uid(client: Client) -> None:
    await client.delete(CONFIGMAPS, "clinic", "a", uid="u")


async def delete_by_name(client: Client) -> None:
    await client.delete(CONFIGMAPS, "clinic", "a")


NAMED: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "clinic", "name": "a"}}
HARMLESS_TWICE = [get, apply, delete_by_uid]
HARMFUL_TWICE = [create, replace, patch_status, delete_by_name]


@pytest.mark.parametrize("fault", [500, 503, 504, 429, HUNG_UP])
@pytest.mark.parametrize("call", HARMLESS_TWICE)
def test_what_does_no_harm_twice_is_sent_again(call: Any, fault: Any) -> None:
    async def run() -> None:
        server = Server(fault, fault, 200)
        async with client_of(server) as client:
            await call(client)
        assert len(server.asked) == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "error"), [(500, ServerError), (429, TooManyRequests), (HUNG_UP, Unreachable)]
)
@pytest.mark.parametrize("call", HARMFUL_TWICE)
def test_what_may_do_harm_twice_is_sent_once(call: Any, fault: Any, error: type[ApiError]) -> None:
    async def run() -> None:
        server = Server(fault)
        async with client_of(server) as client:
            with pytest.raises(error):
                await call(client)
        assert len(server.asked) == 1

    asyncio.run(run())


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("call", HARMLESS_TWICE + HARMFUL_TWICE)
def test_every_call_is_sent_again_when_and_only_after_the_server_asks_for_it(call: Any, status: int) -> None:
    async def run() -> None:
        server, clock = Server((status, {"Retry-After": "7"}), 200), ImpatientClock()
        async with client_of(server, clock) as client:
            await call(client)
        assert len(server.asked) == 2
        assert len(clock.waits) == 1
        assert 7.0 < clock.waits[0] < 8.0

    asyncio.run(run())


def test_whoever_is_to_wait_for_long_hears_of_it_instead() -> None:
    async def run() -> None:
        server = Server((429, {"Retry-After": "3600"}))
        async with client_of(server) as client:
            with pytest.raises(TooManyRequests) as caught:
                await get(client)
        assert caught.value.retry_after == 3600
        assert len(server.asked) == 1

    asyncio.run(run())


def test_attempts_are_counted_and_waits_between_them_grow() -> None:
    async def run() -> None:
        server, clock = Server(500), ImpatientClock()
        async with client_of(server, clock, attempts=4) as client:
            with pytest.raises(ServerError, match="said so"):
                await get(client)
        assert len(server.asked) == 4
        for wait, longest in zip(clock.waits, (0.2, 0.4, 0.8), strict=True):
            assert longest / 2 <= wait <= longest

    asyncio.run(run())


@pytest.mark.parametrize(("status", "error"), [(403, Forbidden), (404, NotFound), (410, Expired)])
def test_a_refusal_is_final(status: int, error: type[ApiError]) -> None:
    async def run() -> None:
        server = Server(status)
        async with client_of(server) as client:
            with pytest.raises(error):
                await get(client)
        assert len(server.asked) == 1

    asyncio.run(run())


def test_deleting_what_is_absent_is_fine() -> None:
    async def run() -> None:
        server = Server(404)
        async with client_of(server) as client:
            await delete_by_uid(client)
        assert server.bodies[0]["preconditions"] == {"uid": "u"}
        assert server.bodies[0]["propagationPolicy"] == "Background"

    asyncio.run(run())


def test_the_observer_is_called_for_each_attempt() -> None:
    async def run() -> None:
        told: list[tuple[str, str, int]] = []
        server = Server(500, HUNG_UP, 200)
        async with client_of(
            server, observer=lambda verb, resource, code, seconds: told.append((verb, resource, code))
        ) as client:
            await apply(client)
        assert told == [
            ("apply", "configmaps", 500),
            ("apply", "configmaps", 0),
            ("apply", "configmaps", 200),
        ]

    asyncio.run(run())


def test_every_write_names_its_author_and_refuses_unknown_fields() -> None:
    async def run() -> None:
        server = Server(200)
        async with client_of(server) as client:
            for call in (apply, create, replace, patch_status):
                await call(client)
        for request in server.asked:
            assert request.query["fieldManager"] == "chex-operator"
            assert request.query["fieldValidation"] == "Strict"
            assert request.headers["User-Agent"].startswith("chex-operator/")

    asyncio.run(run())


def test_a_write_without_the_version_that_was_read_is_our_own_mistake() -> None:
    async def run() -> None:
        async with client_of(Server(200)) as client:
            with pytest.raises(ValueError, match="without a resourceVersion"):
                await client.replace(CONFIGMAPS, NAMED)
            with pytest.raises(ValueError, match="without a resourceVersion"):
                await client.patch_status(JOBS, "clinic", "a", {}, resource_version="")
            with pytest.raises(ValueError, match="or a uid"):
                await client.patch(CONFIGMAPS, "clinic", "a", {}, uid="")

    asyncio.run(run())


def test_calls_are_spread_over_time_only_when_asked_for() -> None:
    async def run() -> None:
        clock = ImpatientClock()
        async with client_of(Server(200), clock) as client:
            for _ in range(3):
                await get(client)
        assert clock.waits == []
        async with client_of(Server(200), clock, requests_per_second=4.0) as client:
            for _ in range(3):
                await get(client)
        assert clock.waits == [0.25, 0.25]

    asyncio.run(run())


# Credentials


def test_a_token_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    async def run() -> None:
        first, second, link = tmp_path / "1", tmp_path / "2", tmp_path / "token"
        first.write_text("one\n")
        second.write_text("two\n")
        link.symlink_to(first)
        server = Server(200)
        async with client_of(server, credentials=TokenFile(link)) as client:
            await get(client)
            (tmp_path / "new").symlink_to(second)
            (tmp_path / "new").replace(link)  # as kubelet does
            await get(client)
        assert [request.headers["Authorization"] for request in server.asked] == ["Bearer one", "Bearer two"]

    asyncio.run(run())


def test_a_call_that_is_refused_for_its_token_is_sent_once_more_with_a_new_one(tmp_path: Path) -> None:
    async def run() -> None:
        token = tmp_path / "token"
        token.write_text("old")
        state = token.stat()

        async def refuse_and_rotate(request: web.Request) -> web.StreamResponse:
            token.write_text("new")
            os.utime(
                token, ns=(state.st_atime_ns, state.st_mtime_ns)
            )  # a clock too coarse to show the change
            return web.json_response({}, status=401)

        server = Server(refuse_and_rotate, 200)
        async with client_of(server, credentials=TokenFile(token)) as client:
            await create(client)
        assert [request.headers["Authorization"] for request in server.asked] == ["Bearer old", "Bearer new"]

    asyncio.run(run())


def test_401_with_no_other_token_is_final(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / "token").write_text("only")
        server = Server(401)
        async with client_of(server, credentials=TokenFile(tmp_path / "token")) as client:
            with pytest.raises(ApiError) as caught:
                await get(client)
        assert caught.value.status == 401
        assert len(server.asked) == 1

    asyncio.run(run())


def test_the_token_file_of_a_kubeconfig_is_read_again_after_401(tmp_path: Path) -> None:
    async def run() -> None:
        token = tmp_path / "token"
        token.write_text("old")

        async def refuse_and_rotate(request: web.Request) -> web.StreamResponse:
            token.write_text("new")
            return web.json_response({}, status=401)

        server = Server(refuse_and_rotate, 200)
        async with served(server) as url:
            kubeconfig = {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {"tokenFile": str(token)}}],
            }
            (tmp_path / "config").write_text(json.dumps(kubeconfig))
            async with Client(await from_kubeconfig(str(tmp_path / "config"))) as client:
                await get(client)
        assert [request.headers["Authorization"] for request in server.asked] == ["Bearer old", "Bearer new"]

    asyncio.run(run())


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    with pytest.raises(NoConnection, match="/nowhere/config"):
        asyncio.run(from_kubeconfig("/nowhere/config"))


def test_without_the_library_a_kubeconfig_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.aio", None)
    with pytest.raises(NoConnection, match=r"install the kubernetes library \(chexdragon\[kubeconfig\]\)"):
        asyncio.run(from_kubeconfig(str(tmp_path / "config")))


def test_outside_of_a_pod_there_is_no_connection_in_the_cluster(tmp_path: Path) -> None:
    with pytest.raises(NoConnection, match="KUBERNETES_SERVICE_HOST"):
        in_cluster(tmp_path, {})


def test_a_pod_without_a_token_gets_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoConnection, match="automountServiceAccountToken"):
        in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"})


@pytest.mark.parametrize(
    ("excepted", "direct"), [("10.96.0.0/12", True), ("", False), ("10.0.0.0/16", False)]
)
def test_a_pod_reaches_its_api_server_by_the_proxy_unless_its_address_lies_in_an_excepted_range(
    tmp_path: Path, excepted: str, direct: bool
) -> None:
    (tmp_path / "token").write_text("token")
    (tmp_path / "ca.crt").write_text(Path(certifi.where()).read_text())
    connection = in_cluster(
        tmp_path,
        {
            "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
            "HTTPS_PROXY": "http://proxy.example:3128",
            "NO_PROXY": excepted,
        },
    )
    assert connection.proxy == (None if direct else "http://proxy.example:3128")


def test_calls_go_by_the_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        server = Server(200)
        async with served(server) as url:
            monkeypatch.setenv("HTTP_PROXY", url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            kubeconfig = {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": "http://api.example.invalid"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
            }
            (tmp_path / "config").write_text(json.dumps(kubeconfig))
            async with Client(await from_kubeconfig(str(tmp_path / "config"))) as client:
                await get(client)
        assert [request.headers["Host"] for request in server.asked] == ["api.example.invalid"]

    asyncio.run(run())


# Watches


def saying(*chunks: bytes, then_hang_up: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.01)  # so that it goes out as a chunk of its own
        if then_hang_up:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


async def heard(client: Client) -> list[WatchEvent]:
    return [
        event
        async for event in client.watch(
            PODS, "clinic", resource_version="5", timeout_seconds=60, label_selector="a=b"
        )
    ]


def line(kind: str, **content: Any) -> bytes:
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


def test_events_arrive_however_their_bytes_are_cut_up() -> None:
    async def run() -> None:
        text = line("ADDED", name="a") + line("MODIFIED", filling="x" * 300_000) + line("BOOKMARK", n=1)
        pieces = [text[:3], text[3:40], text[40:200_000], text[200_000:]]
        server = Server(saying(*pieces))
        async with client_of(server) as client:
            events = await heard(client)
        assert [event.type for event in events] == ["ADDED", "MODIFIED", "BOOKMARK"]
        assert len(events[1].object["filling"]) == 300_000
        assert dict(server.asked[0].query) == {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": "5",
            "timeoutSeconds": "60",
            "labelSelector": "a=b",
        }

    asyncio.run(run())


def test_an_error_event_is_raised_as_what_it_says() -> None:
    async def run() -> None:
        async with client_of(
            Server(saying(line("ERROR", code=410, reason="Expired", message="too old")))
        ) as client:
            with pytest.raises(Expired, match="too old"):
                await heard(client)

    asyncio.run(run())


def test_a_watch_that_is_cut_differs_from_one_that_ends() -> None:
    async def run() -> None:
        server = Server(saying(line("ADDED", name="a"), b'{"type": "ADD', then_hang_up=True))
        async with client_of(server) as client:
            with pytest.raises(Unreachable):
                await heard(client)

    asyncio.run(run())


def test_a_watch_is_opened_once_and_its_refusal_raised() -> None:
    async def run() -> None:
        told: list[tuple[str, str, int]] = []
        server = Server(500)
        async with client_of(
            server, observer=lambda verb, resource, code, seconds: told.append((verb, resource, code))
        ) as client:
            with pytest.raises(ServerError):
                await heard(client)
        assert told == [("watch", "pods", 500)]

    asyncio.run(run())


# Paths


def test_paths_address_what_they_say() -> None:
    assert JOBS.path("clinic", "a", "status") == (
        "/apis/chexdragon.dev/v1alpha1/namespaces/clinic/chextrainingjobs/a/status"
    )
    assert PODS.path(None) == "/api/v1/pods"
    assert CLUSTER_RUNTIMES.path(None, "gpu").endswith("/clusterchexruntimes/gpu")
    assert PODS.path("clinic", "a/../b?x").endswith("/clinic/pods/a%2F..%2Fb%3Fx")


def test_a_path_that_would_address_something_else_is_refused() -> None:
    for namespace, name in ((None, "a"), ("clinic", ".."), ("clinic", ""), ("", "a")):
        with pytest.raises(ValueError):
            PODS.path(namespace, name)
    with pytest.raises(ValueError):
        CLUSTER_RUNTIMES.path("clinic")
    with pytest.raises(ValueError):
        PODS.path("clinic", subresource="status")
