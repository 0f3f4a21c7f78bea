"""Trying again until a storage that is away is back, with full jitter: each pause is uniform up to a bound that doubles.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Without jitter the workers that were
throttled together come back together, and are throttled together again.

What is waited for is time, not a number of tries: an outage lasts as long as it lasts, whether requests fail at once or
by time-out. Whoever waits is told, at once and then every half minute.
"""

import logging
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from chex_jobs.artifacts.errors import InvalidLocation

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE_VARIABLE = "CHEX_S3_PATIENCE_SECONDS"
PATIENCE_SECONDS = 900.0
"""An outage of ten minutes, with its failover and the last pause, is shorter."""
TELL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to go on and how long to pause between tries, in seconds."""

    patience_seconds: float = PATIENCE_SECONDS
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 20.0

    @classmethod
    def of_environment(cls) -> "Backoff":
        """With `CHEX_S3_PATIENCE_SECONDS` in place of 900 seconds; 0: every failure counts at once."""
        told = os.environ.get(PATIENCE_VARIABLE) or str(PATIENCE_SECONDS)
        try:
            patience = float(told)
        except ValueError:
            patience = -1.0
        if not 0.0 <= patience <= 86400.0:
            raise InvalidLocation(f"{PATIENCE_VARIABLE} is {told!r}; it must be seconds, from 0 to 86400")
        return cls(patience)

    def pause(self, failures: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """Seconds to wait after this many failures in a row, 1 or more."""
        doubled = self.first_pause_seconds * 2.0 ** min(failures - 1, 32)
        return uniform(0.0, min(self.longest_pause_seconds, doubled))


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as retries see it, in seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def call_with_retries(
    call: Callable[[], T],
    retryable: Callable[[Exception], bool],
    what: str,
    backoff: Backoff = Backoff(),
    clock: Clock = Clock(),
) -> T:
    """Call until it returns, fails for good, or patience is used up; then raise its last exception.

    Args:
        call: what is tried.
        retryable: whether another try may help after this exception.
        what: for the log: `read s3://bucket/key`.
        backoff: how long to go on.
        clock: whose seconds these are.
    """
    failures, begun = 0, clock.now()
    told_at: float | None = None
    while True:
        try:
            result = call()
        except Exception as error:
            failures += 1
            now, pause = clock.now(), backoff.pause(failures)
            left = begun + backoff.patience_seconds - now
            if not retryable(error) or pause > left:
                raise
            if told_at is None or now - told_at >= TELL_SECONDS:
                told_at = now
                log.warning("cannot %s (%s); trying again for up to %.0f s more", what, error, left)
        else:
            if told_at is not None:
                log.warning("%s: done, after %.0f s of failures", what, clock.now() - begun)
            return result
        clock.sleep(pause)
