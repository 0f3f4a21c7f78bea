"""Why a Pod does not run, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass

from chex_operator.controller.fields import labels_of, part, parts, text
from chex_operator.kube.resource import Object
from chex_operator.rendering.names import ATTEMPT_LABEL, JOB_UID_LABEL
from chex_operator.rules.observed import Pod
from chex_operator.rules.outcome import OUT_OF_MEMORY, PodProblem
from chex_operator.rules.timestamps import seconds_of

ENDED_PHASES = ("Succeeded", "Failed")
MOST_CHARACTERS = 400
WAITING = {
    "ErrImagePull": ("ImagePull", "the image cannot be pulled; check spec.image of the runtime and the registry's credentials"),
    "ImagePullBackOff": ("ImagePull", "the image cannot be pulled; check spec.image of the runtime and the registry's credentials"),
    "InvalidImageName": ("ImagePull", "the image's name is wrong; mend spec.image of the runtime"),
    "CreateContainerConfigError": ("CreateContainerConfigError", "something that its container names is missing; create it in the job's namespace"),
    "CreateContainerError": ("CreateContainerError", "its container cannot be made; ask whoever runs the nodes"),
    "RunContainerError": ("RunContainerError", "its container cannot be started; ask whoever runs the nodes"),
}  # fmt: skip
DISRUPTIONS = {
    "Evicted": "Evicted",
    "Preempting": "Preempted",
    "Preempted": "Preempted",
    "PreemptionByScheduler": "Preempted",
    "NodeLost": "NodeLost",
    "NodeShutdown": "NodeLost",
    "Terminated": "NodeLost",
    "DeletionByTaintManager": "NodeLost",
    "EvictionByEvictionAPI": "Evicted",
    "TerminationByKubelet": "Evicted",
    "DeletionByPodGC": "NodeLost",
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
        reason = DISRUPTIONS.get(text(target, "reason"), "Disrupted")
        yield PodProblem(reason, _message(name, "was taken away", text(target, "message")), disruption=True)
    reason = DISRUPTIONS.get(text(status, "reason"))
    if text(status, "phase") == "Failed" and reason is not None:
        yield PodProblem(reason, _message(name, "was taken away", text(status, "message")), disruption=True)
    for container in parts(status, "initContainerStatuses") + parts(status, "containerStatuses"):
        yield from _container_problems(name, container)
    scheduled = conditions.get("PodScheduled", {})
    if text(scheduled, "status") == "False" and text(scheduled, "reason") == "Unschedulable":
        yield PodProblem("Unschedulable", _message(name, "finds no node", text(scheduled, "message")))


def _container_problems(name: str, container: Object) -> Iterator[PodProblem]:
    for state in (part(container, "state"), part(container, "lastState")):
        if text(part(state, "terminated"), "reason") == OUT_OF_MEMORY:
            advice = "give its pool (or the head) more in the runtime, or lower the batch"
            yield PodProblem(OUT_OF_MEMORY, f"Pod {name} ran out of memory; {advice}")
    waiting = part(part(container, "state"), "waiting")
    if text(waiting, "reason") in WAITING:
        reason, advice = WAITING[text(waiting, "reason")]
        yield PodProblem(reason, _message(name, advice, text(waiting, "message")))


def _message(name: str, what: str, detail: str) -> str:
    said = " ".join(detail.split())[:MOST_CHARACTERS]
    return f"Pod {name}: {what}" + (f": {said}" if said else "")
