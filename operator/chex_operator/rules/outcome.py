"""How an attempt ended, from what KubeRay, the driver and the attempt's Pods report. Pure.

Facts of KubeRay 1.7 that shape it: success is `jobStatus` SUCCEEDED and nothing else (a stopped Ray job is `Complete` too);
failure is `jobDeploymentStatus`, whatever `jobStatus` says (a lost head leaves it RUNNING); `ValidationFailed` is final though
KubeRay does not count it among its final states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from chex_operator.rules import reasons
from chex_operator.rules.reasons import Reason


class End(Enum):
    """How an attempt ended."""

    SUCCEEDED = "Succeeded"
    """The entry point ended well: the stage's manifest exists, which the result or a preflight names."""
    STOPPED = "Stopped"
    """It was asked to stop, and did so with a checkpoint."""
    DISRUPTED = "Disrupted"
    """A Pod was evicted or preempted, or its node was lost. Counted apart from failures."""
    FAILED = "Failed"
    """Any fault that another attempt may not meet again."""
    FAULTY = "Faulty"
    """The manifest, the data or the runtime is at fault: another attempt would end the same way."""


@dataclass(frozen=True)
class RayJobState:
    """The fields of a RayJob's status that the operator reads."""

    job_status: str = ""
    deployment_status: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class DriverReport:
    """What the driver wrote about the end of its attempt.

    Attributes:
        failure: why it failed; empty if it did not.
        user_error: the manifest or the data is at fault.
        stopped: it stopped on request.
    """

    failure: str = ""
    user_error: bool = False
    stopped: bool = False


@dataclass(frozen=True)
class PodProblem:
    """Why a Pod of the attempt does not run: a reason for machines, a message that says what to do, whether it is a disruption."""

    reason: str
    message: str
    disruption: bool = False


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: a reason for machines and a message for people."""

    end: End
    reason: str
    message: str = ""


_FINAL = ("Failed", "ValidationFailed", "Complete")


def has_ended(job: RayJobState) -> bool:
    """Whether KubeRay is done with it."""
    return job.job_status == "SUCCEEDED" or job.deployment_status in _FINAL


def outcome_of(job: RayJobState, report: DriverReport, problems: Sequence[PodProblem]) -> Outcome | None:
    """How the attempt ended; None while it has not.

    A fault that the driver found in its input comes first. Then an eviction or a lost node: the driver only knows that its
    workers are gone. Then what else the driver reported, what happened to its Pods, and KubeRay's own reason. When memory
    ran out, the driver knows no more than that either, and its report comes second.
    """
    if job.job_status == "SUCCEEDED":
        return Outcome(End.SUCCEEDED, *reasons.SUCCEEDED)
    if job.deployment_status not in _FINAL:
        return None
    if job.deployment_status == "ValidationFailed":
        return Outcome(End.FAULTY, *reasons.RAY_JOB_REFUSED.with_details(why=job.message or job.reason))
    if report.failure and report.user_error:
        return Outcome(End.FAULTY, *reasons.DRIVER_FAILED.with_details(failure=report.failure))
    disruption = next((problem for problem in problems if problem.disruption), None)
    if disruption is not None:
        return Outcome(End.DISRUPTED, disruption.reason, disruption.message)
    stopped = report.stopped or job.job_status == "STOPPED"
    out_of_memory = next((problem for problem in problems if problem.reason == Reason.OUT_OF_MEMORY), None)
    if out_of_memory is not None and not stopped:
        message = out_of_memory.message
        if report.failure:
            message = reasons.OUT_OF_MEMORY_WITH_REPORT.format(problem=message, failure=report.failure)
        return Outcome(End.FAILED, out_of_memory.reason, message)
    if report.failure:
        return Outcome(End.FAILED, *reasons.DRIVER_FAILED.with_details(failure=report.failure))
    if stopped:
        return Outcome(End.STOPPED, *reasons.STOPPED_ON_REQUEST)
    if problems:
        return Outcome(End.FAILED, problems[0].reason, problems[0].message)
    return Outcome(End.FAILED, job.reason or reasons.FAILED_SILENTLY.reason, _explained(job))


def _explained(job: RayJobState) -> str:
    """What the reason means, and KubeRay's message; of a failed entry point that is the end of its output, which belongs in its logs."""
    message = "" if job.reason in (Reason.NONE, Reason.ENTRY_POINT_FAILED) else job.message
    known = reasons.KUBERAY_REASONS.get(job.reason)
    if known is None:
        return message or reasons.FAILED_SILENTLY.message
    return (
        reasons.WITH_KUBERAYS_MESSAGE.format(meaning=known.message, message=message)
        if message
        else known.message
    )
