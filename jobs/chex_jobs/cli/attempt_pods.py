"""Which container of an attempt's Pods holds what the driver prints. Pure."""

from dataclasses import dataclass
from typing import Any

ATTEMPT_LABEL = "chexdragon.dev/attempt-name"
DRIVER_CONTAINERS = ("ray-job-submitter", "preflight")
"""In a Ray cluster the driver runs beside the head, into a file; KubeRay's submitter follows that file."""
HEAD_CONTAINER = "ray-head"


@dataclass(frozen=True)
class LogSource:
    """A container that has begun."""

    pod: str
    container: str

    @property
    def is_driver(self) -> bool:
        """Whether it holds the driver's output, not only Ray's own."""
        return self.container in DRIVER_CONTAINERS


def log_source(pods: list[dict[str, Any]]) -> LogSource | None:
    """The best one there is: the driver's, else the head's while the driver has not begun, else none."""
    begun = {
        status["name"]: LogSource(pod["metadata"]["name"], status["name"])
        for pod in sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])
        for status in pod.get("status", {}).get("containerStatuses", [])
        if {"running", "terminated"} & status.get("state", {}).keys()
    }
    return next((begun[name] for name in (*DRIVER_CONTAINERS, HEAD_CONTAINER) if name in begun), None)


def why_not_begun(pods: list[dict[str, Any]]) -> str:
    """What the Pods wait for, in Kubernetes' own words, each once."""
    words: list[str] = []
    for pod in pods:
        status = pod.get("status", {})
        words += [
            condition.get("message", "")
            for condition in status.get("conditions", [])
            if condition.get("status") == "False"
        ]
        words += [
            f"{waiting.get('reason', '')} {waiting.get('message', '')}".strip()
            for container in status.get("containerStatuses", [])
            if (waiting := container.get("state", {}).get("waiting"))
        ]
    return "; ".join(dict.fromkeys(filter(None, words)))
