"""Keys that wait for a pass: each once, never two workers on one, first come first served."""

import asyncio
import heapq
import itertools
import random
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from chex_operator.kube.clock import Clock

Key = TypeVar("Key", bound=Hashable)


class QueueClosed(Exception):
    """No key is handed out any more."""


@dataclass(frozen=True)
class Backoff:
    """How long a failing key waits: doubled with each failure in a row.

    Attributes:
        first_seconds: After the first failure.
        cap_seconds: Never longer.
        jitter: The share of the wait that is drawn at random, 0 to 1, so that keys that failed together come apart.
    """

    first_seconds: float = 0.5
    cap_seconds: float = 300.0
    jitter: float = 0.5

    def seconds(self, failures: int, draw: float) -> float:
        """The wait after so many failures in a row (1 or more), for a draw from 0 to 1."""
        doublings = min(failures - 1, 64)  # 2.0**1024 raises
        longest = min(self.cap_seconds, self.first_seconds * 2.0**doublings)
        return longest * (1.0 - self.jitter * draw)


class WorkQueue(Generic[Key]):
    """For one event loop. Whoever was handed a key must call `done` with it, however its work ended.

    A key added while it waits is one entry. Added while it is worked on, it waits again as soon as that is done, behind
    the others.
    """

    def __init__(
        self, clock: Clock, backoff: Backoff | None = None, random_source: random.Random | None = None
    ) -> None:
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._random = random_source or random.Random()
        # In order of their turn; since when they wait, monotonic. A plain dict finds its first entry ever more slowly
        # while others are taken from its front.
        self._waiting: OrderedDict[Key, float] = OrderedDict()
        self._working: set[Key] = set()
        self._again: dict[Key, float] = {}  # added while being worked on; since when
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._delayed: list[tuple[float, int, Key]] = []  # heap; entries that `_due` disowns are stale
        self._order = itertools.count()
        self._timer: asyncio.Task[None] | None = None
        self._takers: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._drained = asyncio.Event()

    def __len__(self) -> int:
        """How many keys wait for a pass, also those that wait for their running one to end. Delays do not count."""
        return len(self._waiting) + len(self._again)

    def oldest_seconds(self) -> float:
        """For how long the key has waited that waited longest; 0 when none does."""
        since = min(itertools.chain(self._waiting.values(), self._again.values()), default=None)
        return 0.0 if since is None else self._clock.monotonic() - since

    def add(self, key: Key) -> None:
        """Have the key worked on. Does nothing once the queue is closed."""
        if self._closed or key in self._waiting or key in self._again:
            return
        if key in self._working:
            self._again[key] = self._clock.monotonic()
        else:
            self._append(key, self._clock.monotonic())

    def add_after(self, key: Key, seconds: float) -> None:
        """Add the key when that much time has passed. Of several delays of one key, the one that ends first counts."""
        if self._closed:
            return
        if seconds <= 0.0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        heapq.heappush(self._delayed, (due, next(self._order), key))
        self._drop_stale_delays()
        if self._delayed[0][2] == key:
            self._restart_timer()

    def add_rate_limited(self, key: Key) -> None:
        """Add the key after its backoff: it failed once more."""
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        self.add_after(key, self._backoff.seconds(failures, self._random.random()))

    def forget(self, key: Key) -> None:
        """The key succeeded: its next failure counts as the first."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The key whose turn it is, once there is one. Raises `QueueClosed`."""
        while not self._closed:
            if self._waiting:
                key, _ = self._waiting.popitem(last=False)
                self._working.add(key)
                return key
            await self._wait_for_a_turn()
        raise QueueClosed

    def done(self, key: Key) -> None:
        """The work on a key that `get` gave has ended. Raises `KeyError` for a key that nobody works on."""
        self._working.remove(key)
        since = self._again.pop(key, None)
        if since is not None:
            self._append(key, since)
        if self._closed and not self._working:
            self._drained.set()

    async def shutdown(self) -> None:
        """Hand out no key any more, and return when those being worked on are done.

        Keys that still wait are dropped: whoever takes over lists everything anyway.
        """
        self._closed = True
        self._waiting.clear()
        self._again.clear()
        self._due.clear()
        self._delayed.clear()
        if self._timer is not None:
            self._timer.cancel()
        while self._takers:
            self._wake_one()
        if not self._working:
            self._drained.set()
        await self._drained.wait()

    def _append(self, key: Key, since: float) -> None:
        self._waiting[key] = since
        self._wake_one()

    async def _wait_for_a_turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._takers.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._wake_one()  # it was woken for a key that it will not take: another one must
            elif turn in self._takers:
                self._takers.remove(turn)
            raise

    def _wake_one(self) -> None:
        while self._takers:
            turn = self._takers.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().create_task(self._add_what_is_due(), name="queue-delays")

    async def _add_what_is_due(self) -> None:
        while self._delayed:
            due, _, key = self._delayed[0]
            missing = due - self._clock.monotonic()
            if missing > 0.0:
                await self._clock.sleep(missing)
                continue
            heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    def _drop_stale_delays(self) -> None:
        if len(self._delayed) > 2 * len(self._due) + 64:
            self._delayed = [entry for entry in self._delayed if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._delayed)
