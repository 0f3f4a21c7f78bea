"""GPU-seconds for the metrics: of attempts that end with a pass, by pool. Pure."""

from collections import defaultdict

from chex_api.status import JobStatus
from chex_operator.policy.lifecycle import gpu_seconds
from chex_operator.policy.observed import Observed, end_of
from chex_operator.policy.superseded import superseded_gpu_seconds


def settled_by_pool(observed: Observed, after: JobStatus, now: float, *, let_go: bool) -> dict[str, float]:
    """What attempts have used that have ended since the status was told before.

    Args:
        observed: what the pass looked at.
        after: the status as it is told now.
        now: seconds since the epoch.
        let_go: whether nothing more is told, since the job was deleted: all that was still counted ends here.
    """
    pools = observed.pools()
    before = {stage.name: float(stage.gpu_seconds) for stage in observed.status.stages}
    used: defaultdict[str, float] = defaultdict(float)
    for stage in after.stages:
        until = end_of(observed.runs.get(stage.attempt_name), now)
        total = gpu_seconds(stage, until) if let_go else float(stage.gpu_seconds)
        used[pools.get(stage.name, "")] += max(0.0, total - before.get(stage.name, 0.0))
    for attempt in observed.status.superseded:
        if let_go or attempt not in after.superseded:
            used[attempt.pool] += superseded_gpu_seconds(attempt, observed, now)
    return {pool: seconds for pool, seconds in used.items() if pool and seconds > 0.0}
