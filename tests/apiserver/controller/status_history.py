"""All that watches report of some kinds, kept as it comes: what was true at every moment, whatever polling would have missed."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from chex_operator.kube.resource import BATCH_JOBS, JOBS, PODS, RAYJOBS, Object, Resource
from tests.apiserver.control_plane import ApiClient

KEPT = (JOBS, RAYJOBS, BATCH_JOBS, PODS)
WATCH_SECONDS = 3600
Found = TypeVar("Found")


@dataclass(frozen=True)
class Event:
    """One change of one object."""

    resource: Resource
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object

    @property
    def name(self) -> str:
        return self.object["metadata"]["name"]


class StatusHistory:
    """Of every namespace. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._events: defaultdict[str, list[Event]] = defaultdict(list)
        self._latest: dict[tuple[Resource, str, str], Object] = {}
        self._news = threading.Condition()

    def take(self, event: Event) -> None:
        """Keep an event."""
        metadata = event.object["metadata"]
        key = (event.resource, metadata["namespace"], metadata["name"])
        metadata.pop("managedFields", None)
        with self._news:
            self._events[metadata["namespace"]].append(event)
            if event.type == "DELETED":
                self._latest.pop(key, None)
            else:
                self._latest[key] = event.object
            self._news.notify_all()

    def events(self, namespace: str, resource: Resource) -> list[Event]:
        """What became of this kind's objects, in its order."""
        with self._news:
            return [each for each in self._events[namespace] if each.resource is resource]

    def latest(self, namespace: str, resource: Resource, name: str) -> Object | None:
        """An object as it was heard of last; None where there is none."""
        with self._news:
            return self._latest.get((resource, namespace, name))

    def wait(self, look: Callable[[], Found | None], *, seconds: float) -> Found | None:
        """What `look`, tried at every event, finds once it finds something; None after so many seconds."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                found = look()
                left = deadline - time.monotonic()
                if found or left <= 0:
                    return found
                self._news.wait(left)


@contextmanager
def status_history(server: ApiClient) -> Iterator[StatusHistory]:
    """Follow an API server from now until the block ends."""
    kept, over = StatusHistory(), threading.Event()
    watches = [_Watch(server, resource, kept.take, over) for resource in KEPT]
    for watch in watches:
        watch.start()
    try:
        yield kept
    finally:
        over.set()
        for watch in watches:
            watch.end()


class _Watch(threading.Thread):
    """A watch of one kind, opened again where it ended."""

    def __init__(
        self, server: ApiClient, resource: Resource, take: Callable[[Event], None], over: threading.Event
    ) -> None:
        super().__init__(name=f"status history of {resource.plural}", daemon=True)
        self._resource, self._take, self._over = resource, take, over
        self._server = server.again()
        listed = server.request("GET", f"{resource.path(None)}?limit=1")
        assert listed.accepted, listed.message
        self._version: str = listed.body["metadata"]["resourceVersion"]
        self._socket: socket.socket | None = None

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self._follow()
            except (OSError, http.client.HTTPException, ValueError):
                if not self._over.is_set():
                    raise

    def end(self) -> None:
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self._server.close()

    def _follow(self) -> None:
        query = f"watch=1&timeoutSeconds={WATCH_SECONDS}&resourceVersion={self._version}"
        with self._server.stream(f"{self._resource.path(None)}?{query}") as (self._socket, lines):
            for line in lines:
                event = json.loads(line)
                assert event["type"] in ("ADDED", "MODIFIED", "DELETED"), event
                self._version = event["object"]["metadata"]["resourceVersion"]
                self._take(Event(self._resource, event["type"], event["object"]))
