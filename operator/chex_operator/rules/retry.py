"""Whether and when a stage is tried again. Pure.

An attempt that committed progress resets the count of failures: a training of weeks may meet more faults than `backoffLimit`, as
long as it advances between them. Disruptions are counted apart. A fault of the manifest is never retried.
"""

from dataclasses import dataclass, replace

from chex_api.run_policy import RunPolicy
from chex_operator.rules import reasons
from chex_operator.rules.outcome import End, Outcome

FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 600.0
DISRUPTION_WAIT_SECONDS = 5.0


@dataclass(frozen=True)
class History:
    """The attempts of a stage so far.

    Attributes:
        attempts: attempts started so far; the next one has the next number.
        failures: failed attempts since the last one that committed progress.
        disruptions: evictions, preemptions and lost nodes in all.
        not_before: seconds since the epoch before which no attempt starts.
    """

    attempts: int = 0
    failures: int = 0
    disruptions: int = 0
    not_before: float = 0.0


@dataclass(frozen=True)
class Retry:
    """Another attempt follows, not before `history.not_before`."""

    history: History


@dataclass(frozen=True)
class GiveUp:
    """No further attempt: the job fails for this reason."""

    history: History
    reason: str
    message: str


def after(
    history: History, outcome: Outcome, policy: RunPolicy, *, progressed: bool, now: float
) -> Retry | GiveUp:
    """What follows an attempt that did not succeed.

    Args:
        history: before this attempt's outcome was counted.
        outcome: how it ended; not `SUCCEEDED`.
        policy: the limits.
        progressed: whether the attempt committed a checkpoint, or anything else that the next one goes on from.
        now: seconds since the epoch.
    """
    assert outcome.end is not End.SUCCEEDED
    if outcome.end is End.FAULTY:
        return GiveUp(history, outcome.reason, outcome.message)
    if outcome.end is End.STOPPED:
        return Retry(replace(history, failures=0, not_before=now))
    if outcome.end is End.DISRUPTED:
        return _after_disruption(history, outcome, policy, now)
    return _after_failure(history, outcome, policy, progressed, now)


def _after_disruption(history: History, outcome: Outcome, policy: RunPolicy, now: float) -> Retry | GiveUp:
    counted = replace(history, disruptions=history.disruptions + 1, not_before=now + DISRUPTION_WAIT_SECONDS)
    if counted.disruptions > policy.max_disruptions:
        explanation = reasons.TOO_MANY_DISRUPTIONS.with_details(
            disruptions=counted.disruptions, allowed=policy.max_disruptions, last=outcome.message
        )
        return GiveUp(counted, *explanation)
    return Retry(counted)


def _after_failure(
    history: History, outcome: Outcome, policy: RunPolicy, progressed: bool, now: float
) -> Retry | GiveUp:
    failures = 1 if progressed else history.failures + 1
    counted = replace(history, failures=failures, not_before=now + wait_seconds(failures))
    if failures > policy.backoff_limit:
        explanation = reasons.BACKOFF_LIMIT_EXCEEDED.with_details(
            failures=failures, allowed=policy.backoff_limit, last=outcome.message
        )
        return GiveUp(counted, *explanation)
    return Retry(counted)


def wait_seconds(failures: int) -> float:
    """The backoff after so many failures in a row, in seconds: doubled each time, up to ten minutes."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 32))
