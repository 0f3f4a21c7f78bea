"""Events about objects: repeats become one series, the rate for one object is limited, and recording never waits."""

import asyncio
import logging
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from chex_operator.kube.clock import Clock
from chex_operator.kube.errors import ApiError
from chex_operator.kube.resource import EVENTS, Object, Resource

logger = logging.getLogger(__name__)

CONTROLLER = "chexdragon.dev/chex-operator"
MAX_NOTE_BYTES = 1024
"""The API server refuses longer ones."""
REMEMBERED = 4096
"""Series, and objects with a budget; those longest untouched are forgotten first."""
WAITING = 1000
"""Events that may wait to be written; further ones are dropped."""

EventType = Literal["Normal", "Warning"]
EventOutcome = Literal["written", "failed", "dropped"]


class EventClient(Protocol):
    """The one call that events need."""

    async def apply(self, resource: Resource, body: Object, *, force: bool = True) -> Object: ...


class EventObserver(Protocol):
    """Called with the outcome of each event."""

    def event_ended(self, outcome: EventOutcome) -> None:
        """Must neither wait nor raise."""
        ...


@dataclass(frozen=True)
class EventLimits:
    """Limits of the events about one object.

    Attributes:
        burst: Writes at once.
        seconds_per_write: A write more for each of these.
        series_seconds: A repeat after a longer silence is a new event.
    """

    burst: int = 25
    seconds_per_write: float = 60.0
    series_seconds: float = 360.0


@dataclass(frozen=True)
class _SeriesKey:
    uid: str
    kind: EventType
    reason: str
    action: str
    note: str


@dataclass
class _Series:
    name: str
    regarding: Object
    began: float
    seen: float
    count: int = 1


@dataclass
class _Budget:
    tokens: float
    at: float


class EventRecorder:
    """Takes events at any time; `run` writes them, one after the other.

    They are hints for people: one that cannot be written is counted and forgotten.
    """

    def __init__(
        self,
        client: EventClient,
        clock: Clock,
        observer: EventObserver,
        *,
        instance: str,
        limits: EventLimits | None = None,
    ) -> None:
        self._client, self._clock, self._observer = client, clock, observer
        self._instance = instance[:128]
        self._limits = limits or EventLimits()
        self._series: OrderedDict[_SeriesKey, _Series] = OrderedDict()
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()
        self._unwritten: dict[_SeriesKey, _Series] = {}
        self._news = asyncio.Event()
        self._stopping = False

    def record(self, regarding: Object, kind: EventType, reason: str, action: str, note: str) -> None:
        """Record an event about an object. Never waits, and never raises because of the API server.

        Args:
            regarding: The object, with `apiVersion`, `kind`, and name, namespace and uid in its metadata.
            kind: `Warning` for what somebody should look at.
            reason: A constant in CamelCase, at most 128 characters.
            action: What was done about it, likewise.
            note: For people. Cut to 1024 bytes.
        """
        key = _SeriesKey(regarding["metadata"]["uid"], kind, reason, action, cut_note(note))
        series = self._continued(key, regarding)
        if key in self._unwritten:
            self._unwritten[key] = series
            return
        if len(self._unwritten) >= WAITING or not self._may_write(key.uid):
            self._observer.event_ended("dropped")
            return
        self._unwritten[key] = series
        self._news.set()

    async def run(self) -> None:
        """Write what is recorded, until `stop`; what was recorded before that is written still."""
        while True:
            while self._unwritten:
                key = next(iter(self._unwritten))
                await self._write(key, self._unwritten.pop(key))
            if self._stopping:
                return
            self._news.clear()
            await self._news.wait()

    def stop(self) -> None:
        """Have `run` return once it has written what there is."""
        self._stopping = True
        self._news.set()

    def _continued(self, key: _SeriesKey, regarding: Object) -> _Series:
        """The series with this event in it, begun anew after a long silence."""
        now = self._clock.now()
        series = self._series.pop(key, None)
        if series is not None and now - series.seen <= self._limits.series_seconds:
            series.count += 1
            series.seen = now
        else:
            metadata = regarding["metadata"]
            series = _Series(
                name=f"{metadata['name'][:200].rstrip('.-')}.{uuid.uuid4().hex[:16]}",
                regarding={
                    "apiVersion": regarding["apiVersion"],
                    "kind": regarding["kind"],
                    **{field: metadata[field] for field in ("name", "namespace", "uid") if field in metadata},
                },
                began=now,
                seen=now,
            )
        self._series[key] = series
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        return series

    def _may_write(self, uid: str) -> bool:
        """Take a token from the object's bucket, if there is one."""
        now = self._clock.monotonic()
        budget = self._budgets.pop(uid, None) or _Budget(self._limits.burst, now)
        refilled = budget.tokens + (now - budget.at) / self._limits.seconds_per_write
        budget.tokens, budget.at = min(self._limits.burst, refilled), now
        self._budgets[uid] = budget
        if len(self._budgets) > REMEMBERED:
            self._budgets.popitem(last=False)
        if budget.tokens < 1.0:
            return False
        budget.tokens -= 1.0
        return True

    async def _write(self, key: _SeriesKey, series: _Series) -> None:
        """By apply: it creates the event, continues it, and restores one that has expired, and may arrive twice."""
        try:
            await self._client.apply(EVENTS, self._body(key, series))
        except ApiError as error:
            logger.debug("an event was not written: %s", error)
            self._observer.event_ended("failed")
        except Exception:
            logger.exception("an event was not written")
            self._observer.event_ended("failed")
        else:
            self._observer.event_ended("written")

    def _body(self, key: _SeriesKey, series: _Series) -> Object:
        body: Object = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            # The API server wants events about cluster-wide objects in this namespace.
            "metadata": {"name": series.name, "namespace": series.regarding.get("namespace", "default")},
            "regarding": series.regarding,
            "type": key.kind,
            "reason": key.reason,
            "action": key.action,
            "note": key.note,
            "eventTime": _micro_time(series.began),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
        }
        if series.count > 1:
            body["series"] = {"count": series.count, "lastObservedTime": _micro_time(series.seen)}
        return body


def cut_note(note: str) -> str:
    """The note, or as much of it as fits with an ellipsis at its end; never half a character."""
    encoded = note.encode(errors="replace")
    if len(encoded) <= MAX_NOTE_BYTES:
        return encoded.decode()
    mark = "…"
    return encoded[: MAX_NOTE_BYTES - len(mark.encode())].decode(errors="ignore") + mark


def _micro_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
