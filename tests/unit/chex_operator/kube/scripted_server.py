"""An API server's list and watch of one kind, with every way in which a watch can end at a test's command."""

import asyncio
from collections.abc import AsyncGenerator
from copy import deepcopy
from typing import Any

from chex_operator.kube.errors import Expired
from chex_operator.kube.resource import Object, Resource
from chex_operator.kube.wire import Page, WatchEvent


class ScriptedServer:
    """Objects by name in one namespace; each change is an event of the next resourceVersion."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[str, Object] = {}
        self.events: list[tuple[int, WatchEvent]] = []
        self.compacted = 0
        """Watches from an older version are refused with 410."""
        self.lists: list[str] = []
        """The continue token of each page that was asked for."""
        self.watches: list[str] = []
        """The resourceVersion of each watch that was opened."""
        self.list_faults: list[Exception] = []
        self.watch_faults: list[Exception] = []
        """Raised, one each, before the next calls are answered."""
        self._changed = asyncio.Event()
        self._cut: Exception | str | None = None
        self._injected: list[WatchEvent] = []
        self._uids = 0
        self._snapshots: dict[str, tuple[tuple[int, list[Object]], int]] = {}

    def write(self, name: str, value: Any = 0, labels: dict[str, str] | None = None) -> None:
        """Create or change an object."""
        self.version += 1
        before = self.objects.get(name)
        if before is None:
            self._uids += 1
        uid = before["metadata"]["uid"] if before else f"uid-{self._uids}"
        self.objects[name] = {
            "metadata": {
                "namespace": "clinic",
                "name": name,
                "uid": uid,
                "resourceVersion": str(self.version),
                "labels": labels or {},
                "managedFields": [{"manager": "someone"}],
            },
            "value": value,
        }
        self._add("ADDED" if before is None else "MODIFIED", self.objects[name])

    def remove(self, name: str) -> None:
        """Delete an object; its last event has a version of its own, as with Kubernetes."""
        self.version += 1
        gone = self.objects.pop(name)
        self._add("DELETED", gone | {"metadata": gone["metadata"] | {"resourceVersion": str(self.version)}})

    def bookmark(self) -> None:
        self.inject(WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}}))

    def inject(self, event: WatchEvent) -> None:
        """Have the open watch say this."""
        self._injected.append(event)
        self._wake()

    def end_watch(self, how: Exception | None = None) -> None:
        """End the open watch: as asked, or with an exception. Events that it has not told yet stay untold in it."""
        self._cut = how or "end"
        self._wake()

    def go_silent(self) -> None:
        """Let the open watch say nothing any more."""
        self._cut = "silence"
        self._wake()

    async def list_page(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        limit: int = 500,
        continue_token: str = "",
    ) -> Page:
        self.lists.append(continue_token)
        await asyncio.sleep(0)
        if self.list_faults:
            raise self.list_faults.pop(0)
        if continue_token:
            snapshot, start = self._snapshots[continue_token]
        else:
            snapshot, start = (
                (self.version, [deepcopy(self.objects[name]) for name in sorted(self.objects)]),
                0,
            )
        version, items = snapshot
        end = start + limit
        token = ""
        if end < len(items):
            token = f"from-{end}-of-{version}"
            self._snapshots[token] = (snapshot, end)
        return Page(items[start:end], str(version), token)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
    ) -> AsyncGenerator[WatchEvent, None]:
        self.watches.append(resource_version)
        await asyncio.sleep(0)
        if self.watch_faults:
            raise self.watch_faults.pop(0)
        if int(resource_version) < self.compacted:
            raise Expired(410, "Expired", "too old resource version")
        self._cut, self._injected = None, []
        told = int(resource_version)
        while True:
            if self._cut == "end":
                return
            if isinstance(self._cut, Exception):
                raise self._cut
            if self._cut is None:
                while self._injected:
                    yield self._injected.pop(0)
                news = next(((version, event) for version, event in self.events if version > told), None)
                if news is not None:
                    told = news[0]
                    yield deepcopy(news[1])
                    continue
            self._changed.clear()
            await self._changed.wait()

    def _add(self, kind: Any, subject: Object) -> None:
        self.events.append((self.version, WatchEvent(kind, deepcopy(subject))))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
