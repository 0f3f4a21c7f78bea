"""Batches made ahead of their use, by threads, in order.

Why threads and not processes: a fork of a process in which Ray and torch already run threads copies locks in whatever
state they are and may hang for ever; a spawned worker imports torch again (seconds, some 300 MB each) and sends every
batch through shared memory. What a batch costs is spent in OpenCV and in page faults on the shards, both without the
interpreter lock. What they cost: `tests/benchmarks/loading_throughput.py` saw 0.75 times the films/s of spawned processes (1,527 against
2,032 at 224 pixels, two busy cores), a hundred times what DenseNet-121 trains on there.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Threads that make items ahead. At most `ahead` items exist at a time beside the one in use.

    Attributes:
        wait_seconds: how long the consumer waited for the latest item.
        total_wait_seconds: the same over all items so far.
    """

    def __init__(self, *, threads: int, ahead: int) -> None:
        """Args: number of threads, >= 1; number of items made ahead, >= 1."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="chex-loading")
        self._ahead = ahead
        self.wait_seconds = 0.0
        self.total_wait_seconds = 0.0

    def items(self, make: Callable[[int], Item], start: int, stop: int) -> Generator[Item, None, None]:
        """Yield `make(start)` to `make(stop - 1)` in order; what `make` raises is raised here, in its place.

        Closing the iterator (or leaving its loop and dropping it) cancels what has not begun.
        """
        pending: deque[Future[Item]] = deque()
        numbers = iter(range(start, stop))
        try:
            for number in itertools.islice(numbers, self._ahead):
                pending.append(self._pool.submit(make, number))
            while pending:
                item = self._wait_for(pending.popleft())
                for number in itertools.islice(numbers, 1):
                    pending.append(self._pool.submit(make, number))
                yield item
        finally:
            for future in pending:
                future.cancel()

    def _wait_for(self, future: "Future[Item]") -> Item:
        began = time.perf_counter()
        try:
            return future.result()
        finally:
            self.wait_seconds = time.perf_counter() - began
            self.total_wait_seconds += self.wait_seconds

    def close(self) -> None:
        """Cancel what has not begun and wait for what has."""
        self._pool.shutdown(wait=True, cancel_futures=True)
