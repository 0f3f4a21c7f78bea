"""The proxy itself: what passes, what meets a fault, and what was counted."""

import asyncio
import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chex_operator.kube.client import Client
from chex_operator.kube.connection import Connection
from chex_operator.kube.errors import ApiError, Unreachable
from chex_operator.kube.resource import CONFIGMAPS
from tests.apiserver.binaries import control_plane_binaries
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient, write_kubeconfig
from tests.apiserver.fault_proxy import (
    CUT_AFTER,
    CUT_BEFORE,
    Call,
    FaultProxy,
    call_of,
    delay,
    fail_after,
    fault_proxy,
    kill_after,
    kill_before,
    no_lease,
    refuse,
)
from tests.apiserver.kube.access import Token, config_map, new_namespace
from tests.patience import PATIENCE_SECONDS

LOST = (OSError, http.client.HTTPException)


@pytest.fixture
def proxy(api_server: ApiClient) -> Iterator[FaultProxy]:
    with fault_proxy(api_server) as found:
        yield found


@pytest.fixture
def through(proxy: FaultProxy, api_server: ApiClient) -> Iterator[ApiClient]:
    """A client that knows the proxy only."""
    with ApiClient(int(urlsplit(proxy.url).port or 0), api_server.certificate) as client:
        yield client


@pytest.fixture
def namespace(api_server: ApiClient) -> str:
    return new_namespace(api_server)


def create(client: ApiClient, namespace: str, name: str) -> int:
    return client.create(CONFIGMAPS.path(namespace), config_map(namespace, name)).code


def names(server: ApiClient, namespace: str) -> list[str]:
    """ConfigMaps of these tests; the cluster adds one of its own to each namespace."""
    answer = server.request(
        "GET", f"{CONFIGMAPS.path(namespace)}?fieldSelector=metadata.name!=kube-root-ca.crt"
    )
    assert answer.accepted, answer.message
    return [each["metadata"]["name"] for each in answer.body["items"]]


def is_create(call: Call) -> bool:
    return call.verb == "create"


def test_what_is_asked_and_answered_passes_unchanged(
    through: ApiClient, api_server: ApiClient, namespace: str
) -> None:
    assert create(through, namespace, "a") == 201
    path = CONFIGMAPS.path(namespace, "a") + "?pretty=%74rue"
    assert through.request("GET", path).body == api_server.request("GET", path).body
    refused = through.create(CONFIGMAPS.path(namespace), {"metadata": {"name": "b"}, "colour": "blue"})
    assert refused.code == 400
    assert "colour" in refused.message


def test_whoever_has_no_right_has_none_through_the_proxy(proxy: FaultProxy, api_server: ApiClient) -> None:
    port = int(urlsplit(proxy.url).port or 0)
    with ApiClient(port, api_server.certificate, token="made-up") as stranger:
        assert stranger.request("GET", "/api/v1/namespaces").code == 401


def test_a_call_that_is_cut_before_has_done_nothing(
    proxy: FaultProxy, through: ApiClient, api_server: ApiClient, namespace: str
) -> None:
    proxy.plan(CUT_BEFORE, when=is_create)
    with pytest.raises(LOST):
        create(through, namespace, "a")
    assert names(api_server, namespace) == []
    assert create(through, namespace, "a") == 201
    assert proxy.all_met


def test_a_call_that_is_cut_after_has_been_carried_out(
    proxy: FaultProxy, through: ApiClient, api_server: ApiClient, namespace: str
) -> None:
    proxy.plan(CUT_AFTER, when=is_create)
    with pytest.raises(LOST):
        create(through, namespace, "a")
    assert names(api_server, namespace) == ["a"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")],
)
def test_a_refused_call_is_answered_as_the_api_server_words_it_and_not_carried_out(
    proxy: FaultProxy, through: ApiClient, api_server: ApiClient, namespace: str, code: int, reason: str
) -> None:
    proxy.plan(refuse(code), when=is_create)
    answer = through.create(CONFIGMAPS.path(namespace), config_map(namespace, "a"))
    assert (answer.code, answer.body["reason"]) == (code, reason)
    assert names(api_server, namespace) == []


def test_a_call_may_be_carried_out_and_be_told_to_have_failed(
    proxy: FaultProxy, through: ApiClient, api_server: ApiClient, namespace: str
) -> None:
    proxy.plan(fail_after(500), when=is_create)
    assert create(through, namespace, "a") == 500
    assert names(api_server, namespace) == ["a"]


def test_a_client_is_asked_for_patience_in_the_header_that_it_reads(
    proxy: FaultProxy, api_server: ApiClient, namespace: str
) -> None:
    async def story() -> None:
        async with client_through(proxy, api_server) as client:
            started = time.monotonic()
            await client.create(CONFIGMAPS, config_map(namespace, "a"))
            assert time.monotonic() - started >= 1.0

    proxy.plan(refuse(429, retry_after=1), when=is_create)
    asyncio.run(story())
    assert proxy.count(is_create) == 2


def test_the_nth_call_meets_the_fault_and_only_that_one(
    proxy: FaultProxy, through: ApiClient, namespace: str
) -> None:
    proxy.plan(refuse(500), when=is_create, nth=3)
    assert [create(through, namespace, name) for name in "abcd"] == [201, 201, 500, 201]


def test_a_fault_may_last(proxy: FaultProxy, through: ApiClient, namespace: str) -> None:
    proxy.plan(refuse(503), when=is_create, times=2)
    assert [create(through, namespace, "a") for _ in range(3)] == [503, 503, 201]


def test_a_delayed_call_takes_longer(proxy: FaultProxy, through: ApiClient, namespace: str) -> None:
    proxy.plan(delay(0.5))
    started = time.monotonic()
    assert create(through, namespace, "a") == 201
    assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize(("kill", "left"), [(kill_before, []), (kill_after, ["a"])])
def test_a_process_is_killed_at_its_nth_call(
    proxy: FaultProxy, through: ApiClient, api_server: ApiClient, namespace: str, kill, left: list[str]
) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    def end() -> None:
        sleeper.kill()
        sleeper.wait()

    proxy.plan(kill(end), when=is_create)
    with pytest.raises(LOST):
        create(through, namespace, "a")
    assert sleeper.poll() == -9
    assert names(api_server, namespace) == left


def test_calls_are_counted_by_verb_and_resource(
    proxy: FaultProxy, through: ApiClient, namespace: str
) -> None:
    create(through, namespace, "a")
    create(through, namespace, "b")
    through.request("GET", CONFIGMAPS.path(namespace, "a"))
    through.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
    assert proxy.by_kind() == {
        ("create", "configmaps"): 2,
        ("get", "configmaps"): 1,
        ("list", "leases"): 1,
    }
    assert proxy.count(no_lease) == 3
    assert proxy.seen[0] == Call("create", "configmaps", namespace)
    proxy.forget()
    assert proxy.count() == 0


@pytest.mark.parametrize(
    ("method", "path", "content_type", "call"),
    [
        ("GET", "/api/v1/pods?watch=1", "", Call("watch", "pods")),
        ("GET", "/api/v1/namespaces/n/pods?limit=5", "", Call("list", "pods", "n")),
        ("GET", "/api/v1/namespaces/n", "", Call("get", "namespaces", "", "n")),
        ("POST", "/api/v1/namespaces/n/pods/p/binding", "", Call("create", "pods", "n", "p", "binding")),
        ("PUT", "/apis/g.dev/v1/clusterthings/t", "", Call("update", "clusterthings", "", "t")),
        (
            "PATCH",
            "/apis/ray.io/v1/namespaces/n/rayjobs/r/status",
            "application/merge-patch+json",
            Call("patch", "rayjobs", "n", "r", "status"),
        ),
        (
            "PATCH",
            "/api/v1/namespaces/n/configmaps/c?force=true",
            "application/apply-patch+yaml",
            Call("apply", "configmaps", "n", "c"),
        ),
        ("DELETE", "/api/v1/namespaces/n/pods", "", Call("deletecollection", "pods", "n")),
        ("GET", "/readyz", "", Call("list", "")),
    ],
)
def test_a_path_says_what_is_asked_for(method: str, path: str, content_type: str, call: Call) -> None:
    assert call_of(method, path, content_type) == call


def client_through(proxy: FaultProxy, server: ApiClient) -> Client:
    """The operator's client, at the proxy."""
    tls = ssl.create_default_context(cafile=str(server.certificate))
    return Client(Connection(proxy.url, tls, Token()))


async def heard(
    client: Client, namespace: str, version: str, told: list[str], *, times: int, failed: list[ApiError]
) -> None:
    """Follow ConfigMaps until so many events were told."""
    watch = client.watch(CONFIGMAPS, namespace, resource_version=version, timeout_seconds=30)
    try:
        async with aclosing(watch) as events:
            async for event in events:
                if event.type != "BOOKMARK":
                    told.append(event.object["metadata"]["name"])
                if len(told) == times:
                    return
    except ApiError as fault:
        failed.append(fault)


def test_what_a_watch_tells_can_be_held_back_and_comes_in_its_order(
    proxy: FaultProxy, api_server: ApiClient, namespace: str
) -> None:
    async def story() -> None:
        told: list[str] = []
        async with client_through(proxy, api_server) as client:
            page = await client.list_page(CONFIGMAPS, namespace)
            following = asyncio.create_task(
                heard(client, namespace, page.resource_version, told, times=3, failed=[])
            )
            await client.create(CONFIGMAPS, config_map(namespace, "a"))
            await until(lambda: told == ["a"])
            proxy.watches.hold("configmaps")
            await client.create(CONFIGMAPS, config_map(namespace, "b"))
            await client.create(CONFIGMAPS, config_map(namespace, "c"))
            await asyncio.sleep(0.3)
            assert told == ["a"]
            proxy.watches.release()
            await following
            assert told == ["a", "b", "c"]

    asyncio.run(story())


def test_other_watches_go_on_while_some_are_held_back_or_slow(
    proxy: FaultProxy, api_server: ApiClient, namespace: str
) -> None:
    async def story() -> None:
        told: list[str] = []
        async with client_through(proxy, api_server) as client:
            page = await client.list_page(CONFIGMAPS, namespace)
            following = heard(client, namespace, page.resource_version, told, times=1, failed=[])
            proxy.watches.hold("pods")
            await asyncio.gather(following, client.create(CONFIGMAPS, config_map(namespace, "a")))
            assert told == ["a"]
            proxy.watches.slow(0.5, "configmaps")
            started = time.monotonic()
            page = await client.list_page(CONFIGMAPS, namespace)
            following = heard(client, namespace, page.resource_version, told, times=2, failed=[])
            await asyncio.gather(following, client.create(CONFIGMAPS, config_map(namespace, "b")))
            assert time.monotonic() - started >= 0.5

    asyncio.run(story())


def test_a_watch_can_be_cut(proxy: FaultProxy, api_server: ApiClient, namespace: str) -> None:
    async def story() -> None:
        told: list[str] = []
        failed: list[ApiError] = []
        async with client_through(proxy, api_server) as client:
            page = await client.list_page(CONFIGMAPS, namespace)
            following = asyncio.create_task(
                heard(client, namespace, page.resource_version, told, times=9, failed=failed)
            )
            await client.create(CONFIGMAPS, config_map(namespace, "a"))
            await until(lambda: told == ["a"])
            proxy.watches.drop("pods")
            await client.create(CONFIGMAPS, config_map(namespace, "b"))
            await until(lambda: told == ["a", "b"])
            proxy.watches.drop("configmaps")
            await following
            assert isinstance(failed[0], Unreachable)

    asyncio.run(story())


async def until(holds) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


def test_kubectl_speaks_through_the_proxy(
    proxy: FaultProxy, api_server: ApiClient, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api_server, ADMIN_TOKEN, server=proxy.url)
    kubectl = [str(control_plane_binaries() / "kubectl"), f"--kubeconfig={kubeconfig}", f"-n={namespace}"]
    manifest = json.dumps({**config_map(namespace, "a"), "apiVersion": "v1", "kind": "ConfigMap"})
    applied = subprocess.run(
        [*kubectl, "apply", "-f", "-"], input=manifest, capture_output=True, text=True, check=False
    )
    assert applied.stdout == "configmap/a created\n", applied.stderr
    assert names(api_server, namespace) == ["a"]
    assert proxy.count(lambda call: (call.verb, call.resource) == ("create", "configmaps")) == 1
