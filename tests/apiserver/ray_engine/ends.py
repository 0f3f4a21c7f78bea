"""How containers end, and what the status of their Pod then says."""

from dataclasses import dataclass

from chex_operator.kube.resource import Object
from tests.apiserver.ray_engine.objects import now


@dataclass(frozen=True)
class End:
    """The end of a Pod's container.

    Attributes:
        code: Its exit code.
        reason: Why the container ended, as its status says it.
        pod_reason: Why the Pod did: `Evicted`.
        message: Of the Pod.
        disruption: Reason of the condition `DisruptionTarget`; empty where nobody disrupted it.
        deleted: The Pod is deleted rather than left as failed.
    """

    code: int = 0
    reason: str = ""
    pod_reason: str = ""
    message: str = ""
    disruption: str = ""
    deleted: bool = False


FINISHED = End(0, "Completed")
OUT_OF_MEMORY = End(137, "OOMKilled")
EVICTED = End(
    137,
    "Error",
    pod_reason="Evicted",
    message="The node was low on resource: memory. Threshold quantity: 100Mi, available: 42Mi.",
    disruption="TerminationByKubelet",
)
PREEMPTED = End(
    137,
    "Error",
    message="preempting to accommodate a higher priority pod",
    disruption="PreemptionByScheduler",
    deleted=True,
)
NODE_LOST = End(
    137,
    "Error",
    message="Taint manager: deleting due to NoExecute taint",
    disruption="DeletionByTaintManager",
    deleted=True,
)


def exited(code: int) -> End:
    """The program ended by itself."""
    return FINISHED if code == 0 else End(code, "Error")


def scheduled(since: str) -> Object:
    """The condition of a Pod that has a node."""
    return {"type": "PodScheduled", "status": "True", "lastTransitionTime": since}


def waiting_status(pod: Object, reason: str, message: str) -> Object:
    """A Pod that has a node, and a container that is not made."""
    at = now()
    waiting = {"reason": reason, "message": message}
    return {
        "phase": "Pending",
        "startTime": at,
        "conditions": [scheduled(at), *_ready(at, "False")],
        "containerStatuses": _containers(pod, {"waiting": waiting}, ready=False),
    }


def unscheduled_status(message: str) -> Object:
    """A Pod for which no node has room."""
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": now(),
    }
    return {"phase": "Pending", "conditions": [condition]}


def running_status(pod: Object) -> Object:
    """A Pod whose container runs and answers its probes."""
    at = now()
    return {
        "phase": "Running",
        "startTime": at,
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "conditions": [scheduled(at), *_ready(at, "True")],
        "containerStatuses": _containers(pod, {"running": {"startedAt": at}}, ready=True),
    }


def ended_status(pod: Object, end: End) -> Object:
    """A Pod whose container has ended."""
    at = now()
    terminated = {"exitCode": end.code, "reason": end.reason, "startedAt": at, "finishedAt": at}
    status: Object = {
        "phase": "Succeeded" if end.code == 0 else "Failed",
        "conditions": [scheduled(at), *_ready(at, "False"), *_disruption(end, at)],
        "containerStatuses": _containers(pod, {"terminated": terminated}, ready=False),
    }
    if end.pod_reason:
        status |= {"reason": end.pod_reason, "message": end.message}
    return status


def _ready(at: str, ready: str) -> list[Object]:
    return [
        {"type": kind, "status": ready, "lastTransitionTime": at}
        for kind in ("Initialized", "ContainersReady", "Ready")
    ]


def _disruption(end: End, at: str) -> list[Object]:
    if not end.disruption:
        return []
    about = {"reason": end.disruption, "message": end.message, "lastTransitionTime": at}
    return [{"type": "DisruptionTarget", "status": "True", **about}]


def _containers(pod: Object, state: Object, *, ready: bool) -> list[Object]:
    return [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": state,
        }
        for container in pod["spec"]["containers"]
    ]
