"""Who of several replicas works: the holder of a Lease.

`kubernetes.aio.leaderelection` (37.0.1) was read and is not used. It measures its deadlines by the wall clock, so that a
clock set back makes a lost leader go on; its renewal has no time limit of its own, so that one request that hangs outlives
the deadline and the Lease; faults of the transport other than an HTTP answer escape and end it; it writes local time as UTC,
and drops a time without microseconds; it never gives the Lease back.

Here a leader gives up by its own monotonic clock, `renew_deadline_seconds` after it *sent* the last renewal that succeeded.
A rival waits for `lease_seconds` since it *saw* the Lease change last, which is later. So there are never two leaders as
long as their clocks run at about the same speed; what they show does not matter. A Lease does not stop requests that are
under way: writes must be idempotent anyway.
"""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from chex_operator.kube.clock import Clock
from chex_operator.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from chex_operator.kube.resource import LEASES, Object, Resource
from chex_operator.kube.stop import within

logger = logging.getLogger(__name__)


class LeaseClient(Protocol):
    """The calls that an election makes; each may raise an `ApiError`."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object: ...
    async def create(self, resource: Resource, body: Object) -> Object: ...
    async def replace(self, resource: Resource, body: Object) -> Object: ...


@dataclass(frozen=True)
class ElectionTiming:
    """In seconds. Raises `ValueError` unless retry < renew deadline < lease, with room for a second attempt."""

    lease_seconds: int = 15
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < 2 * self.retry_seconds <= self.renew_deadline_seconds < self.lease_seconds:
            raise ValueError(f"no safe election: {self}")


class Election:
    """One candidate. `identity` is of this process alone: a restarted container is another candidate.

    Attributes:
        elected: Set once this process leads.
        lost: Set when it does so no more. For good: the process must stop its workers and exit.
    """

    def __init__(
        self,
        client: LeaseClient,
        clock: Clock,
        *,
        namespace: str,
        name: str,
        identity: str,
        timing: ElectionTiming | None = None,
    ) -> None:
        self._client, self._clock = client, clock
        self._namespace, self._name, self._identity = namespace, name, identity
        self._timing = timing or ElectionTiming()
        self._lease: Object | None = None
        self._observed_spec: dict[str, Any] | None = None
        self._observed_at = -math.inf
        self._leads_until = -math.inf
        self.elected = asyncio.Event()
        self.lost = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this process leads at this moment, even where the event loop was too late to set `lost`."""
        return self._clock.monotonic() < self._leads_until

    async def run(self) -> None:
        """Become the leader, however long that takes, and return when leadership is lost.

        Cancelling it ends the renewals and nothing else; `release` comes after it.
        """
        while not await self._attempt(self._acquire, self._timing.renew_deadline_seconds / 2):
            await self._pause(self._timing.retry_seconds)
        logger.info("leading as %s", self._identity)
        self.elected.set()
        while self.leads:
            await self._pause(min(self._timing.retry_seconds, self._remaining_seconds))
            if self.leads:
                await self._attempt(
                    self._renew, min(self._remaining_seconds, self._timing.renew_deadline_seconds / 2)
                )
        logger.error("leadership is lost")
        self.lost.set()

    async def release(self) -> None:
        """Give the Lease back, so that a rival need not wait. For a process whose workers have ended."""
        held = self._lease if self.leads else None
        self._leads_until = -math.inf
        if held is None:
            return
        try:
            await self._client.replace(LEASES, self._body(held, holder="", seconds=1))
        except ApiError as error:
            logger.info("the Lease could not be given back and expires by itself: %s", error)

    @property
    def _remaining_seconds(self) -> float:
        return self._leads_until - self._clock.monotonic()

    async def _pause(self, longest_seconds: float) -> None:
        await self._clock.sleep(longest_seconds * random.uniform(0.8, 1.0))  # candidates come out of step

    async def _attempt(self, step: Callable[[], Coroutine[Any, Any, bool]], seconds: float) -> bool:
        """Whether the step succeeded in time; leadership then counts from when it began."""
        began = self._clock.monotonic()
        try:
            succeeded = await within(self._clock, seconds, step())
        except (ApiError, TimeoutError) as error:
            logger.warning("the Lease could not be read or written: %s", error)
            return False
        except Exception:
            logger.exception("the Lease could not be read or written")
            return False
        if succeeded:
            self._leads_until = began + self._timing.renew_deadline_seconds
        return succeeded

    async def _acquire(self) -> bool:
        try:
            lease = await self._client.get(LEASES, self._namespace, self._name)
        except NotFound:
            return await self._won(self._client.create(LEASES, self._body(None, holder=self._identity)))
        if not self._is_free(lease):
            return False
        return await self._won(self._client.replace(LEASES, self._body(lease, holder=self._identity)))

    async def _won(self, write: Awaitable[Object]) -> bool:
        try:
            self._lease = await write
        except (AlreadyExists, Conflict):
            return False  # a rival was faster
        return True

    def _is_free(self, lease: Object) -> bool:
        spec = _spec_of(lease)
        if spec != self._observed_spec:
            self._observed_spec, self._observed_at = spec, self._clock.monotonic()
        if spec.get("holderIdentity") in {None, "", self._identity}:
            return True
        patience = max(self._timing.lease_seconds, int(spec.get("leaseDurationSeconds") or 0))
        return self._clock.monotonic() >= self._observed_at + patience

    async def _renew(self) -> bool:
        assert self._lease is not None
        try:
            self._lease = await self._client.replace(LEASES, self._body(self._lease, holder=self._identity))
        except NotFound:
            self._leads_until = -math.inf  # a rival may hold a new one
            return False
        except Conflict:  # someone annotated it, or a renewal whose answer was lost went through after all
            self._lease = await self._client.get(LEASES, self._namespace, self._name)
            if _spec_of(self._lease).get("holderIdentity") != self._identity:
                self._leads_until = -math.inf
                return False
            self._lease = await self._client.replace(LEASES, self._body(self._lease, holder=self._identity))
        return True

    def _body(self, lease: Object | None, *, holder: str, seconds: int | None = None) -> Object:
        """The Lease as it is to be written; the resourceVersion of the one that was read is the precondition."""
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {} if lease is None else _spec_of(lease)
        changes: Object = {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds or self._timing.lease_seconds,
            "renewTime": now,
        }
        if spec.get("holderIdentity") != holder:
            changes["acquireTime"] = now
            changes["leaseTransitions"] = 0 if lease is None else int(spec.get("leaseTransitions") or 0) + 1
        metadata = {"name": self._name, "namespace": self._namespace} if lease is None else lease["metadata"]
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": {**spec, **changes},
        }


def _spec_of(lease: Object) -> dict[str, Any]:
    return lease.get("spec") or {}
