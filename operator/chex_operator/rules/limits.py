"""Why a job stops: a failed stage, its deadline, its budget, its own wish to be suspended. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chex_api.run_policy import RunPolicy
from chex_api.status import JobStatus, StageStatus
from chex_operator.rendering import PREFLIGHT
from chex_operator.rules import reasons
from chex_operator.rules.accounting import gpu_seconds, gpu_seconds_since
from chex_operator.rules.reasons import Explanation, Reason
from chex_operator.rules.timestamps import seconds_of

SECONDS_PER_HOUR = 3600.0
WARNED_SHARE = 0.8


@dataclass(frozen=True)
class StopReason:
    """Why nothing new starts and running attempts stop.

    Attributes:
        final: the job has failed; otherwise it resumes once it is no longer suspended.
    """

    reason: str
    message: str
    final: bool


def stop_reason_of(
    status: JobStatus,
    stages: Sequence[StageStatus],
    own: Iterable[StageStatus],
    policy: RunPolicy,
    now: float,
) -> StopReason | None:
    """The first reason to stop; None while the job may run.

    Args:
        status: as it was last written.
        stages: all of them; they use machines.
        own: those of the current manifest: stages that an edit has replaced may fail.
        policy: the limits.
        now: seconds since the epoch.
    """
    failed = next((stage for stage in own if stage.state == "Failed"), None)
    if failed is not None:
        reason = Reason.PREFLIGHT_FAILED if failed.name == PREFLIGHT else failed.reason
        message = reasons.JOB_FAILED.format(stage=failed.name, message=failed.message)
        return StopReason(reason, message, final=True)
    unfinished = _listed([stage.name for stage in stages if stage.state != "Finished"])
    deadline = policy.active_deadline_seconds
    if deadline is not None and active_seconds(status, now) >= deadline:
        explanation = reasons.DEADLINE_EXCEEDED.with_details(deadline=deadline, unfinished=unfinished)
        return StopReason(*explanation, final=True)
    if policy.budget is not None and gpu_hours(status, stages, now) >= policy.budget.gpu_hours:
        explanation = reasons.BUDGET_EXCEEDED.with_details(
            budget=policy.budget.gpu_hours, unfinished=unfinished
        )
        return StopReason(*explanation, final=True)
    if policy.suspend:
        return StopReason(*reasons.SUSPENDED, final=False)
    return None


def active_seconds(status: JobStatus, now: float) -> float:
    """Seconds that the job has run; suspended time does not count."""
    since = seconds_of(status.active_since)
    return status.active_seconds + (max(0.0, now - since) if since is not None else 0.0)


def gpu_hours(status: JobStatus, stages: Iterable[StageStatus], now: float) -> float:
    """GPU-hours until now, including stages that left the plan."""
    earlier = float(status.earlier_gpu_seconds)
    leaving = sum(gpu_seconds_since(attempt.start_time, attempt.gpus, now) for attempt in status.superseded)
    return (earlier + leaving + sum(gpu_seconds(stage, now) for stage in stages)) / SECONDS_PER_HOUR


def budget_warning(
    status: JobStatus, stages: Iterable[StageStatus], policy: RunPolicy, now: float
) -> Explanation | None:
    """The warning once most of the budget is used; None before."""
    if policy.budget is None or not policy.budget.gpu_hours:
        return None
    used = gpu_hours(status, stages, now)
    if used < WARNED_SHARE * policy.budget.gpu_hours:
        return None
    return reasons.BUDGET_NEARLY_USED.with_details(used=used, budget=policy.budget.gpu_hours)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "none"
