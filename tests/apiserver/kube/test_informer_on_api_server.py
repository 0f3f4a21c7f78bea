"""The informer's promises of `tests/unit/chex_operator/kube/test_informer.py`, kept by the real list and watch."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from chex_operator.kube.client import Client
from chex_operator.kube.errors import Unreachable
from chex_operator.kube.informer import Informer, Key
from chex_operator.kube.queue import Backoff
from chex_operator.kube.resource import CONFIGMAPS, JOBS, Object, Resource
from chex_operator.kube.wire import Page, WatchEvent
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.kube.access import client_at, config_map, job, new_namespace
from tests.patience import PATIENCE_SECONDS


class Cuttable:
    """A client whose watches break at a command, and begin where they are told to."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._cut = asyncio.Event()
        self._whole = asyncio.Event()
        self._whole.set()
        self.begin_at: str | None = None
        self.lists = 0
        self.watches = 0

    def cut(self) -> None:
        """Break the watch that is open, and let none be opened nor anything listed until `mend`."""
        self._whole.clear()
        self._cut.set()

    def mend(self) -> None:
        self._cut.clear()
        self._whole.set()

    async def list_page(self, resource: Resource, namespace: str | None, **options: Any) -> Page:
        await self._whole.wait()
        self.lists += 1
        return await self._client.list_page(resource, namespace, **options)

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str, **options: Any
    ) -> AsyncGenerator[WatchEvent, None]:
        await self._whole.wait()
        self.watches += 1
        begin, self.begin_at = self.begin_at or resource_version, None
        stream = self._client.watch(resource, namespace, resource_version=begin, **options)
        async with aclosing(stream):
            while True:
                following = asyncio.ensure_future(anext(stream, None))
                cut = asyncio.ensure_future(self._cut.wait())
                try:
                    await asyncio.wait({following, cut}, return_when=asyncio.FIRST_COMPLETED)
                    if self._cut.is_set():
                        raise Unreachable(0, "", "cut")
                    event = following.result()
                finally:
                    following.cancel()
                    cut.cancel()
                    await asyncio.gather(following, cut, return_exceptions=True)
                if event is None:
                    return
                yield event


def value_of(item: Object) -> str:
    assert "managedFields" not in item["metadata"]
    return item["data"]["value"]


@asynccontextmanager
async def following(
    source: Cuttable, resource: Resource, **options: Any
) -> AsyncIterator[tuple[Informer[Any], list[tuple[str, Any, Any]]]]:
    informer: Informer[Any] = Informer(source, resource, backoff=Backoff(first_seconds=0.05), **options)
    told: list[tuple[str, Any, Any]] = []

    def note(key: Key, old: Any, new: Any) -> None:
        told.append((key[1], old, new))

    informer.add_handler(note)
    running = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(informer.wait_synced(), PATIENCE_SECONDS)
        yield informer, told
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


def test_it_lists_in_pages_and_follows(api_server: ApiClient) -> None:
    async def run() -> None:
        async with client_at(api_server) as client:
            namespace, source = new_namespace(api_server), Cuttable(client)
            for name in "abc":
                await client.create(CONFIGMAPS, config_map(namespace, name, job="x"))
            await client.create(CONFIGMAPS, config_map(namespace, "unlabelled"))
            options: dict[str, Any] = {"project": value_of, "namespace": namespace}
            async with following(
                source, CONFIGMAPS, page_size=2, label_selector="job", index_label="job", **options
            ) as (informer, told):
                assert told == [(name, None, "0") for name in "abc"]
                assert source.lists == 2
                await client.apply(CONFIGMAPS, config_map(namespace, "b", "1", job="y"))
                await client.delete(CONFIGMAPS, namespace, "c")
                await client.create(CONFIGMAPS, config_map(namespace, "d", "2", job="x"))
                await until(lambda: len(told) == 6)
                assert told[3:] == [("b", "0", "1"), ("c", "0", None), ("d", None, "2")]
                assert informer.labelled(namespace, "x") == ["0", "2"]

    asyncio.run(run())


def test_an_object_that_loses_the_selected_label_is_reported_as_deleted(api_server: ApiClient) -> None:
    async def run() -> None:
        async with client_at(api_server) as client:
            namespace, source = new_namespace(api_server), Cuttable(client)
            await client.apply(CONFIGMAPS, config_map(namespace, "a", job="x"))
            options: dict[str, Any] = {"project": value_of, "namespace": namespace}
            async with following(source, CONFIGMAPS, label_selector="job", **options) as (informer, told):
                await client.apply(CONFIGMAPS, config_map(namespace, "a"))
                await until(lambda: len(informer) == 0)
                assert told == [("a", None, "0"), ("a", "0", None)]
                assert source.lists == 1

    asyncio.run(run())


def test_a_cut_watch_is_taken_up_without_losing_anything(api_server: ApiClient) -> None:
    async def run() -> None:
        async with client_at(api_server) as client:
            namespace, source = new_namespace(api_server), Cuttable(client)
            await client.create(CONFIGMAPS, config_map(namespace, "a"))
            async with following(source, CONFIGMAPS, project=value_of, namespace=namespace) as (
                informer,
                told,
            ):
                await client.create(CONFIGMAPS, config_map(namespace, "b"))
                await until(lambda: len(informer) == 2)
                source.cut()
                await client.delete(CONFIGMAPS, namespace, "a")
                await client.apply(CONFIGMAPS, config_map(namespace, "b", "1"))
                source.mend()
                await until(lambda: informer.list() == ["1"])
                assert told[2:] == [("a", "0", None), ("b", "0", "1")]
                assert source.lists == 1

    asyncio.run(run())


def test_what_was_deleted_and_made_anew_across_a_forgotten_version_is_reported(cluster: ApiClient) -> None:
    async def run() -> None:
        async with client_at(cluster) as client:
            namespace, source = new_namespace(cluster), Cuttable(client)
            for name in "ab":
                await client.create(JOBS, job(namespace, name))

            def uid_of(item: Object) -> str:
                return item["metadata"]["uid"]

            async with following(source, JOBS, project=uid_of, namespace=namespace) as (informer, told):
                gone, replaced = informer.get(namespace, "a"), informer.get(namespace, "b")
                source.begin_at = "1"  # answered by 410
                source.cut()
                await client.delete(JOBS, namespace, "a")
                await client.delete(JOBS, namespace, "b")
                anew = (await client.create(JOBS, job(namespace, "b")))["metadata"]["uid"]
                source.mend()
                await until(lambda: informer.list() == [anew])
                assert told[2:] == [("b", replaced, None), ("b", None, anew), ("a", gone, None)]

    asyncio.run(run())
