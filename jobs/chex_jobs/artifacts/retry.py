"""Trying again, with full jitter: each pause is uniform between zero and a bound that doubles.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Without jitter the workers that were
throttled together come back together, and are throttled together again.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how long. `attempts` counts the first try; pauses are in seconds."""

    attempts: int = 10
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 20.0

    def pause(self, failures: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """Seconds to wait after this many failures in a row, 1 or more."""
        return uniform(0.0, min(self.longest_pause_seconds, self.first_pause_seconds * 2 ** (failures - 1)))


def call_with_retries(
    call: Callable[[], T],
    retryable: Callable[[Exception], bool],
    backoff: Backoff = Backoff(),
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call until it returns, fails for good, or the attempts are used up; then raise its last exception."""
    failures = 0
    while True:
        try:
            return call()
        except Exception as error:
            failures += 1
            if failures >= backoff.attempts or not retryable(error):
                raise
        sleep(backoff.pause(failures))
