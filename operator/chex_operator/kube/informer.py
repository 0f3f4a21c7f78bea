"""A local image of one kind's objects that follows the API server's, whatever happens to the connection."""

import asyncio
import logging
import random
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from chex_operator.kube.clock import Clock, SystemClock
from chex_operator.kube.errors import ApiError, Expired
from chex_operator.kube.queue import Backoff
from chex_operator.kube.resource import Object, Resource
from chex_operator.kube.wire import Page, WatchEvent

WATCH_SECONDS = (300, 600)
"""How long a watch lasts, drawn between these, so that not all of them are renewed at once."""
SILENCE_SECONDS = 150.0
"""The API server sends a bookmark about every minute: one that stays silent for longer than two is not there any more."""

Projection = TypeVar("Projection")
Key = tuple[str, str]
"""Namespace (empty for a kind that lives in none) and name."""

logger = logging.getLogger(__name__)


class Source(Protocol):
    """The part of `Client` that an informer needs."""

    async def list_page(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        limit: int = 500,
        continue_token: str = "",
    ) -> Page: ...

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
    ) -> AsyncGenerator[WatchEvent, None]: ...


Handler = Callable[[Key, Projection | None, Projection | None], None]
"""Called with the key, what was held of the object (None for a new one) and what is held now (None for one that is gone).

It only takes note (adds a key to a queue). An exception ends the informer.
"""


class _Silent(Exception):
    """Neither an event nor a bookmark for too long."""


class _Disorder(Exception):
    """An event that cannot follow on what was heard before."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Projection]):
    uid: str
    version: int
    label: str | None
    projection: Projection


class Informer(Generic[Projection]):
    """Holds of each object what `project` makes of it, and nothing else.

    What it holds is what the API server had a moment ago, never what it will have: whoever acts on it must bear that the
    object has changed since. Everything comes right again after any failure, because a list that replaces a lost watch is
    compared with what is held, and what is missing in it is reported as deleted. Several changes may be reported as one.
    """

    def __init__(
        self,
        client: Source,
        resource: Resource,
        *,
        project: Callable[[Object], Projection | None],
        namespace: str | None = None,
        label_selector: str = "",
        index_label: str | None = None,
        page_size: int = 500,
        silence_seconds: float = SILENCE_SECONDS,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        """Does nothing before `run`.

        Args:
            client: Lists and watches.
            resource: The kind.
            project: What to hold of an object (never of its `managedFields`, which are gone before); None for nothing.
                Of an object on which it raises, what was held before stays.
            namespace: None for all.
            label_selector: As the API server understands it; empty for all.
            index_label: `labelled` finds a namespace's objects by the value of this label.
            page_size: Objects that are decoded at a time.
            silence_seconds: A watch that is silent for longer is given up.
            backoff: Between attempts after failures.
            clock: For waits.
            random_source: For jitter.
        """
        self._source = client
        self._resource, self._namespace, self._label_selector = resource, namespace, label_selector
        self._project = project
        self._index_label = index_label
        self._page_size = page_size
        self._silence_seconds = silence_seconds
        self._backoff = backoff or Backoff(first_seconds=0.5, cap_seconds=30.0)
        self._clock = clock or SystemClock()
        self._random = random_source or random.Random()
        self._handlers: list[Handler[Projection]] = []
        self._entries: dict[Key, _Entry[Projection]] = {}
        self._by_label: dict[tuple[str, str], set[Key]] = {}
        self._newest = 0
        self._heard, self._heard_at = False, 0.0
        self._synced = asyncio.Event()

    @property
    def has_synced(self) -> bool:
        """Whether everything that there was at some moment since `run` is held."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return once `has_synced`."""
        await self._synced.wait()

    def add_handler(self, handler: Handler[Projection]) -> None:
        """Call `handler` with each change, after earlier handlers. To be called before `run`."""
        self._handlers.append(handler)

    def get(self, namespace: str | None, name: str) -> Projection | None:
        """What is held of one object; None where nothing is."""
        entry = self._entries.get((namespace or "", name))
        return None if entry is None else entry.projection

    def labelled(self, namespace: str | None, value: str) -> list[Projection]:
        """What is held of a namespace's objects whose `index_label` has this value, in order of their keys.

        Of one namespace, since whoever may create an object anywhere may give it any label.
        """
        return [
            self._entries[key].projection for key in sorted(self._by_label.get((namespace or "", value), ()))
        ]

    def has_labelled(self, namespace: str | None, value: str) -> bool:
        """Whether `labelled` would find anything."""
        return (namespace or "", value) in self._by_label

    def list(self) -> list[Projection]:
        """All that is held."""
        return [entry.projection for entry in self._entries.values()]

    def __len__(self) -> int:
        """Objects of which something is held."""
        return len(self._entries)

    async def run(self) -> None:
        """Follow the API server until cancelled, or until a handler raises. No answer of the API server ends it.

        A watch that has said something and then ended is taken up where it ended. Any other end is followed by a list.
        """
        failures, must_list = 0, True
        while True:
            self._heard = False
            try:
                if must_list:
                    await self._list()
                await self._watch()
            except (Expired, _Silent, _Disorder) as reason:
                must_list = True
                failures = 1 if self._heard else failures + 1
                logger.info("%s: listing again: %s", self._resource.plural, reason)
            except ApiError as error:
                must_list = not self._heard
                failures = 1 if self._heard else failures + 1
                logger.warning("%s: cannot follow the API server: %s", self._resource.plural, error)
            else:
                must_list = not self._heard
                failures = 0 if self._heard else failures + 1
            if failures:
                await self._clock.sleep(self._backoff.seconds(failures, self._random.random()))

    async def _list(self) -> None:
        seen: set[Key] = set()
        token = ""
        while True:
            page = await self._source.list_page(
                self._resource,
                self._namespace,
                label_selector=self._label_selector,
                limit=self._page_size,
                continue_token=token,
            )
            self._take_page(page, seen)
            token, newest = page.continue_token, page.resource_version
            del page  # else it is held until the next one is decoded
            if not token:
                break
        for key in [key for key in self._entries if key not in seen]:
            self._forget(key)
        self._newest = _number(newest)
        self._synced.set()

    def _take_page(self, page: Page, seen: set[Key]) -> None:
        for item in page.items:
            key = _key(item)
            seen.add(key)
            held = self._entries.get(key)
            if held is None or held.version != _version(item):
                self._hold(key, item)

    async def _watch(self) -> None:
        self._heard_at = self._clock.monotonic()
        reader = asyncio.create_task(self._read(), name=f"watch-{self._resource.plural}")
        guard = asyncio.create_task(self._silence(), name=f"silence-{self._resource.plural}")
        try:
            await asyncio.wait({reader, guard}, return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                raise _Silent(f"no word for {self._silence_seconds:.0f} s")
            reader.result()
        finally:
            reader.cancel()
            guard.cancel()
            await asyncio.gather(reader, guard, return_exceptions=True)

    async def _read(self) -> None:
        events = self._source.watch(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            resource_version=str(self._newest),
            timeout_seconds=self._random.randint(*WATCH_SECONDS),
        )
        async with aclosing(events):
            async for event in events:
                self._heard, self._heard_at = True, self._clock.monotonic()
                self._take(event)

    async def _silence(self) -> None:
        """Returns when nothing has been heard for too long. One task for all events: a timer for each costs more."""
        while (left := self._heard_at + self._silence_seconds - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)

    def _take(self, event: WatchEvent) -> None:
        version = _version(event.object)
        if event.type == "BOOKMARK":
            self._newest = max(self._newest, version)
            return
        key = _key(event.object)
        if version <= self._newest:
            held = self._entries.get(key)
            if event.type != "DELETED" and held is not None and held.version >= version:
                return  # repeated
            raise _Disorder(f"{event.type} {key} of version {version} after version {self._newest}")
        self._newest = version
        if event.type == "DELETED":
            self._forget(key)
        else:
            self._hold(key, event.object)

    def _hold(self, key: Key, item: Object) -> None:
        metadata: Object = item["metadata"]
        uid = str(metadata.get("uid", ""))
        held = self._entries.get(key)
        if held is not None and held.uid != uid:  # deleted and made anew meanwhile
            self._forget(key)
            held = None
        version = _version(item)
        metadata.pop("managedFields", None)
        labels: dict[str, str] = metadata.get("labels") or {}
        label = labels.get(self._index_label) if self._index_label else None
        try:
            projection = self._project(item)
        except Exception:
            # One object that nobody foresaw must not hide all others; held as it was, it is not taken for deleted.
            logger.exception("%s %s: not understood", self._resource.kind, "/".join(key))
            return
        if projection is None:
            self._forget(key)
            return
        if held is not None and held.projection == projection:
            projection = held.projection
        self._index(key, held.label if held else None, label)
        self._entries[key] = _Entry(uid, version, label, projection)
        if held is None:
            self._tell(key, None, projection)
        elif held.projection is not projection:
            self._tell(key, held.projection, projection)

    def _forget(self, key: Key) -> None:
        held = self._entries.pop(key, None)
        if held is not None:
            self._index(key, held.label, None)
            self._tell(key, held.projection, None)

    def _index(self, key: Key, old: str | None, new: str | None) -> None:
        if old == new:
            return
        namespace, _ = key
        if old is not None:
            self._by_label[namespace, old].discard(key)
            if not self._by_label[namespace, old]:
                del self._by_label[namespace, old]
        if new is not None:
            self._by_label.setdefault((namespace, new), set()).add(key)

    def _tell(self, key: Key, old: Projection | None, new: Projection | None) -> None:
        for handler in self._handlers:
            handler(key, old, new)


def _key(item: Object) -> Key:
    metadata = item["metadata"]
    return sys.intern(str(metadata.get("namespace", ""))), str(metadata["name"])


def _version(item: Object) -> int:
    return _number(item["metadata"].get("resourceVersion"))


def _number(resource_version: object) -> int:
    """Versions of one kind are numbers that grow: what Kubernetes promises for its own kinds and for custom resources."""
    if isinstance(resource_version, str) and resource_version.isdecimal():
        return int(resource_version)
    raise _Disorder(f"{resource_version!r} is no resourceVersion")
