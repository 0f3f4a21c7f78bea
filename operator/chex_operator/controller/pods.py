"""Why a Pod does not run, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass

from chex_operator.controller.fields import labels_of, part, parts, text
from chex_operator.kube.resource import Object
from chex_operator.rendering.names import ATTEMPT_LABEL, JOB_UID_LABEL
from chex_operator.rules import reasons
from chex_operator.rules.observed import Pod
from chex_operator.rules.outcome import PodProblem
from chex_operator.rules.reasons import Reason
from chex_operator.rules.timestamps import seconds_of

ENDED_PHASES = ("Succeeded", "Failed")
OOM_KILLED = "OOMKilled"
"""The container runtime's reason."""
MOST_CHARACTERS = 400
WAITING = {
    "ErrImagePull": reasons.IMAGE_PULL,
    "ImagePullBackOff": reasons.IMAGE_PULL,
    "InvalidImageName": reasons.INVALID_IMAGE_NAME,
    "CreateContainerConfigError": reasons.CREATE_CONTAINER_CONFIG_ERROR,
    "CreateContainerError": reasons.CREATE_CONTAINER_ERROR,
    "RunContainerError": reasons.RUN_CONTAINER_ERROR,
}
"""Why a container waits, by the kubelet's reason."""
DISRUPTIONS = {
    "Evicted": Reason.EVICTED,
    "Preempting": Reason.PREEMPTED,
    "Preempted": Reason.PREEMPTED,
    "PreemptionByScheduler": Reason.PREEMPTED,
    "NodeLost": Reason.NODE_LOST,
    "NodeShutdown": Reason.NODE_LOST,
    "Terminated": Reason.NODE_LOST,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
    "DeletionByPodGC": Reason.NODE_LOST,
}
"""Reasons of a failed Pod, and of its condition DisruptionTarget, as the status reports them."""


@dataclass(frozen=True, slots=True)
class PodProjection:
    """A Pod of a job."""

    job_uid: str
    pod: Pod


def project_pod(item: Object) -> PodProjection | None:
    """Of a Pod; None for one that belongs to no attempt."""
    metadata, labels = item["metadata"], labels_of(item)
    if JOB_UID_LABEL not in labels or ATTEMPT_LABEL not in labels:
        return None
    status = part(item, "status")
    conditions = {text(each, "type"): each for each in parts(status, "conditions")}
    pod = Pod(
        name=metadata["name"],
        attempt=labels[ATTEMPT_LABEL],
        role=labels.get("ray.io/node-type", ""),
        alive=status.get("phase") not in ENDED_PHASES,
        ready=_holds(conditions, "Ready"),
        scheduled_at=_scheduled_at(item, status, conditions),
        deleting_since=seconds_of(metadata.get("deletionTimestamp")),
        problem=next(_problems(metadata["name"], status, conditions), None),
    )
    return PodProjection(labels[JOB_UID_LABEL], pod)


def _holds(conditions: dict[str, Object], kind: str) -> bool:
    return text(conditions.get(kind, {}), "status") == "True"


def _scheduled_at(item: Object, status: Object, conditions: dict[str, Object]) -> float | None:
    if not _holds(conditions, "PodScheduled") and not part(item, "spec").get("nodeName"):
        return None
    moment = text(conditions.get("PodScheduled", {}), "lastTransitionTime") or text(status, "startTime")
    return seconds_of(moment)


def _problems(name: str, status: Object, conditions: dict[str, Object]) -> Iterator[PodProblem]:
    if _holds(conditions, "DisruptionTarget"):
        target = conditions["DisruptionTarget"]
        reason = DISRUPTIONS.get(text(target, "reason"), Reason.DISRUPTED)
        yield PodProblem(reason, _message(name, reasons.TAKEN_AWAY, text(target, "message")), disruption=True)
    reason = DISRUPTIONS.get(text(status, "reason"))
    if text(status, "phase") == "Failed" and reason is not None:
        yield PodProblem(reason, _message(name, reasons.TAKEN_AWAY, text(status, "message")), disruption=True)
    for container in parts(status, "initContainerStatuses") + parts(status, "containerStatuses"):
        yield from _container_problems(name, container)
    scheduled = conditions.get("PodScheduled", {})
    if text(scheduled, "status") == "False" and text(scheduled, "reason") == "Unschedulable":
        reason, what = reasons.UNSCHEDULABLE
        yield PodProblem(reason, _message(name, what, text(scheduled, "message")))


def _container_problems(name: str, container: Object) -> Iterator[PodProblem]:
    for state in (part(container, "state"), part(container, "lastState")):
        if text(part(state, "terminated"), "reason") == OOM_KILLED:
            yield PodProblem(*reasons.OUT_OF_MEMORY.with_details(pod=name))
    waiting = part(part(container, "state"), "waiting")
    if text(waiting, "reason") in WAITING:
        reason, advice = WAITING[text(waiting, "reason")]
        yield PodProblem(reason, _message(name, advice, text(waiting, "message")))


def _message(name: str, what: str, detail: str) -> str:
    said = " ".join(detail.split())[:MOST_CHARACTERS]
    return f"Pod {name}: {what}" + (f": {said}" if said else "")
