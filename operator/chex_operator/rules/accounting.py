"""GPU-seconds: of stages, of attempts that an edit replaced, and for the metrics by pool. Pure."""

from collections import defaultdict

from chex_api.status import JobStatus, StageStatus, SupersededAttempt
from chex_operator.rules.observed import Observed, end_of
from chex_operator.rules.timestamps import seconds_of


def gpu_seconds(stage: StageStatus, now: float) -> float:
    """GPU-seconds of all attempts, of a running one until now."""
    return float(stage.gpu_seconds) + gpu_seconds_since(stage.start_time, stage.gpus, now)


def gpu_seconds_since(start_time: str | None, gpus: int, now: float) -> float:
    """GPU-seconds of an attempt that got its machines at `start_time`; None: it has none yet."""
    since = seconds_of(start_time)
    return gpus * max(0.0, now - since) if since is not None else 0.0


def superseded_gpu_seconds(attempt: SupersededAttempt, observed: Observed, now: float) -> float:
    """GPU-seconds of one superseded attempt: until it ended, or until now."""
    until = end_of(observed.attempt_objects.get(attempt.attempt_name), now)
    return gpu_seconds_since(attempt.start_time, attempt.gpus, until)


def settled_by_pool(observed: Observed, after: JobStatus, now: float, *, released: bool) -> dict[str, float]:
    """What attempts have used that ended since the last status.

    Args:
        observed: what the pass looked at.
        after: the status after the pass.
        now: seconds since the epoch.
        released: whether the finalizer of a deleted job was removed: no status follows, so running attempts are settled now.
    """
    pools = observed.pools()
    before = {stage.name: float(stage.gpu_seconds) for stage in observed.status.stages}
    used: defaultdict[str, float] = defaultdict(float)
    for stage in after.stages:
        until = end_of(observed.attempt_objects.get(stage.attempt_name), now)
        total = gpu_seconds(stage, until) if released else float(stage.gpu_seconds)
        used[pools.get(stage.name, "")] += max(0.0, total - before.get(stage.name, 0.0))
    for attempt in observed.status.superseded:
        if released or attempt not in after.superseded:
            used[attempt.pool] += superseded_gpu_seconds(attempt, observed, now)
    return {pool: seconds for pool, seconds in used.items() if pool and seconds > 0.0}
