import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chex_operator.kube.client import Client
from chex_operator.kube.connection import Connection, from_kubeconfig, in_cluster
from chex_operator.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Unreachable,
)
from chex_operator.kube.resource import CONFIGMAPS, JOBS, Resource
from chex_operator.kube.wire import WatchEvent
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient
from tests.apiserver.kube.access import Token, client_at, config_map, job, new_namespace

Story = Callable[[Client, str], Awaitable[None]]


def play(server: ApiClient, story: Story) -> None:
    """Run a story with a client, in a namespace of its own."""

    async def run() -> None:
        async with client_at(server) as client:
            await story(client, new_namespace(server))

    asyncio.run(run())


def test_what_was_created_can_be_read(api_server: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        made = await client.create(CONFIGMAPS, config_map(namespace, "a", "7"))
        assert await client.get(CONFIGMAPS, namespace, "a") == made
        with pytest.raises(AlreadyExists):
            await client.create(CONFIGMAPS, config_map(namespace, "a"))
        with pytest.raises(NotFound):
            await client.get(CONFIGMAPS, namespace, "b")

    play(api_server, story)


def test_a_field_that_a_kind_does_not_have_is_refused(cluster: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        wrong = job(namespace)
        wrong["spec"]["colour"] = "blue"
        with pytest.raises(Invalid, match="colour"):
            await client.create(JOBS, wrong)
        with pytest.raises(ApiError, match="colour"):
            await client.apply(JOBS, wrong)
        made = await client.create(JOBS, job(namespace))
        with pytest.raises(Invalid, match="mood"):
            await client.patch_status(
                JOBS, namespace, "job", {"mood": "good"}, resource_version=made["metadata"]["resourceVersion"]
            )

    play(cluster, story)


def test_applying_makes_changes_and_removes_what_is_ours_and_nothing_else(api_server: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        first = config_map(namespace, "a", "1")
        first["data"]["extra"] = "x"
        made = await client.apply(CONFIGMAPS, first)
        assert made["data"] == {"value": "1", "extra": "x"}
        labelled = await client.patch_metadata(
            CONFIGMAPS,
            namespace,
            "a",
            {"labels": {"other": "kept"}},
            resource_version=made["metadata"]["resourceVersion"],
        )
        assert labelled["metadata"]["labels"] == {"other": "kept"}
        again = await client.apply(CONFIGMAPS, config_map(namespace, "a", "2"))
        assert again["data"] == {"value": "2"}
        same = await client.apply(CONFIGMAPS, config_map(namespace, "a", "2"))
        assert same["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]

    play(api_server, story)


def test_a_field_of_another_owner_is_taken_only_by_force(api_server: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        theirs = yaml.safe_dump(config_map(namespace, "a", "theirs"))
        path = f"{CONFIGMAPS.path(namespace, 'a')}?fieldManager=somebody"
        assert api_server.request("PATCH", path, theirs, "application/apply-patch+yaml").accepted
        with pytest.raises(Conflict, match="somebody"):
            await client.apply(CONFIGMAPS, config_map(namespace, "a", "ours"), force=False)
        assert (await client.apply(CONFIGMAPS, config_map(namespace, "a", "ours")))["data"] == {
            "value": "ours"
        }

    play(api_server, story)


def test_a_replacement_of_another_version_than_the_one_read_is_refused(api_server: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        read = await client.create(CONFIGMAPS, config_map(namespace, "a"))
        read["data"]["value"] = "1"
        written = await client.replace(CONFIGMAPS, read)
        assert written["data"]["value"] == "1"
        with pytest.raises(Conflict):
            await client.replace(CONFIGMAPS, read)

    play(api_server, story)


def test_a_status_for_another_version_than_the_one_read_is_refused(cluster: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        version = (await client.create(JOBS, job(namespace)))["metadata"]["resourceVersion"]
        written = await client.patch_status(
            JOBS, namespace, "job", {"observedGeneration": 1}, resource_version=version
        )
        assert written["status"]["observedGeneration"] == 1
        with pytest.raises(Conflict):
            await client.patch_status(
                JOBS, namespace, "job", {"observedGeneration": 2}, resource_version=version
            )
        assert (await client.get(JOBS, namespace, "job"))["status"]["observedGeneration"] == 1

    play(cluster, story)


def test_a_change_of_an_object_holds_for_its_next_version_and_not_for_the_next_object_of_its_name(
    api_server: ApiClient,
) -> None:
    async def story(client: Client, namespace: str) -> None:
        uid = (await client.create(CONFIGMAPS, config_map(namespace, "a")))["metadata"]["uid"]
        await client.apply(CONFIGMAPS, config_map(namespace, "a", "1"))
        changed = await client.patch(CONFIGMAPS, namespace, "a", {"data": {"stop": "now"}}, uid=uid)
        assert changed["data"] == {"value": "1", "stop": "now"}
        await client.delete(CONFIGMAPS, namespace, "a")
        await client.create(CONFIGMAPS, config_map(namespace, "a"))
        with pytest.raises(Invalid, match="uid"):
            await client.patch(CONFIGMAPS, namespace, "a", {"data": {"stop": "now"}}, uid=uid)

    play(api_server, story)


def test_a_finalizer_for_another_version_than_the_one_read_is_refused(cluster: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        version = (await client.create(JOBS, job(namespace)))["metadata"]["resourceVersion"]
        finalizers = {"finalizers": ["chexdragon.dev/gpus-freed"]}
        held = await client.patch_metadata(JOBS, namespace, "job", finalizers, resource_version=version)
        with pytest.raises(Conflict):
            await client.patch_metadata(JOBS, namespace, "job", {"finalizers": []}, resource_version=version)
        await client.delete(JOBS, namespace, "job")
        waiting = await client.get(JOBS, namespace, "job")
        assert waiting["metadata"]["deletionTimestamp"]
        assert held["metadata"]["finalizers"] == waiting["metadata"]["finalizers"]
        await client.patch_metadata(
            JOBS,
            namespace,
            "job",
            {"finalizers": []},
            resource_version=waiting["metadata"]["resourceVersion"],
        )
        with pytest.raises(NotFound):
            await client.get(JOBS, namespace, "job")

    play(cluster, story)


def test_only_the_object_that_is_meant_is_deleted(api_server: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        uid = (await client.create(CONFIGMAPS, config_map(namespace, "a")))["metadata"]["uid"]
        with pytest.raises(Conflict):
            await client.delete(CONFIGMAPS, namespace, "a", uid="00000000-0000-0000-0000-000000000000")
        await client.delete(CONFIGMAPS, namespace, "a", uid=uid)
        await client.delete(CONFIGMAPS, namespace, "a", uid=uid)  # absent is fine
        with pytest.raises(NotFound):
            await client.get(CONFIGMAPS, namespace, "a")

    play(api_server, story)


def test_all_pages_are_of_one_moment(api_server: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        for name in "abcde":
            await client.create(CONFIGMAPS, config_map(namespace, name, chosen="yes"))
        await client.create(CONFIGMAPS, config_map(namespace, "other"))

        async def page(token: str) -> Any:
            return await client.list_page(
                CONFIGMAPS, namespace, label_selector="chosen=yes", limit=2, continue_token=token
            )

        first = await page("")
        await client.create(CONFIGMAPS, config_map(namespace, "f", chosen="yes"))
        second = await page(first.continue_token)
        third = await page(second.continue_token)
        pages = [first, second, third]
        assert [item["metadata"]["name"] for each in pages for item in each.items] == list("abcde")
        assert len({each.resource_version for each in pages}) == 1
        assert third.continue_token == ""

    play(api_server, story)


async def events(client: Client, namespace: str, version: str, seconds: int = 3) -> list[WatchEvent]:
    stream = client.watch(CONFIGMAPS, namespace, resource_version=version, timeout_seconds=seconds)
    return [event async for event in stream]


def test_a_watch_returns_what_happened_after_a_version_and_ends_in_its_time(api_server: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        made = await client.create(CONFIGMAPS, config_map(namespace, "a"))
        await client.apply(CONFIGMAPS, config_map(namespace, "a", "1"))
        await client.delete(CONFIGMAPS, namespace, "a")
        told = await events(client, namespace, made["metadata"]["resourceVersion"])
        assert [event.type for event in told if event.type != "BOOKMARK"] == ["MODIFIED", "DELETED"]
        versions = [int(event.object["metadata"]["resourceVersion"]) for event in told]
        assert versions == sorted(set(versions))

    play(api_server, story)


def test_a_watch_from_a_version_that_is_forgotten_raises_expired(cluster: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        with pytest.raises(Expired):
            async for _ in client.watch(JOBS, namespace, resource_version="1", timeout_seconds=5):
                pass

    play(cluster, story)


def test_a_kind_that_the_server_does_not_serve_is_not_found(api_server: ApiClient) -> None:
    async def story(client: Client, namespace: str) -> None:
        with pytest.raises(NotFound):
            await client.list_page(Resource("nowhere.dev", "v1", "things", "Thing"), namespace)

    play(api_server, story)


def test_a_server_that_does_not_prove_who_it_is_gets_no_token(api_server: ApiClient) -> None:
    async def run() -> None:
        strict = Connection(api_server.url, ssl.create_default_context(), Token())
        async with Client(strict, attempts=1) as client:
            with pytest.raises(Unreachable, match="certificate"):
                await client.list_page(CONFIGMAPS, "default")

    asyncio.run(run())


def test_a_token_that_is_not_known_is_refused(api_server: ApiClient) -> None:
    async def run() -> None:
        async with client_at(api_server, token="made-up") as client:
            with pytest.raises(ApiError) as caught:
                await client.list_page(CONFIGMAPS, "default")
        assert caught.value.status == 401

    asyncio.run(run())


def test_a_missing_permission_is_named(api_server: ApiClient) -> None:
    async def run() -> None:
        namespace = new_namespace(api_server)
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        assert api_server.create(accounts, {"metadata": {"name": "nobody"}}).accepted
        token = api_server.create(f"{accounts}/nobody/token", {"spec": {}}).body["status"]["token"]
        async with client_at(api_server, token=token) as client:
            with pytest.raises(Forbidden, match="cannot list resource"):
                await client.list_page(CONFIGMAPS, namespace)

    asyncio.run(run())


def test_the_connections_of_a_pod_and_of_a_kubeconfig_reach_the_server(
    api_server: ApiClient, tmp_path: Path
) -> None:
    async def run() -> None:
        (tmp_path / "token").write_text(ADMIN_TOKEN)
        (tmp_path / "ca.crt").write_bytes(api_server.certificate.read_bytes())
        host, port = api_server.url.removeprefix("https://").split(":")
        pod = in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port})
        cluster = {"server": api_server.url, "certificate-authority": str(api_server.certificate)}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": ADMIN_TOKEN}}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(kubeconfig))
        for connection in (pod, await from_kubeconfig(str(tmp_path / "config"))):
            async with Client(connection) as client:
                assert (await client.list_page(CONFIGMAPS, "kube-system")).resource_version

    asyncio.run(run())
