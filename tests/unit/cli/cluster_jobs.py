"""Jobs as an API server tells them, for the tests of what is printed."""

from typing import Any

from chex_jobs.cli.cluster_job import ClusterJob, moment

NOW = moment("2026-10-02T10:00:00Z")


def cluster_job(*, suspend: bool = False, **status: Any) -> ClusterJob:
    """A job of generation 2 with this status."""
    return ClusterJob.of(
        {
            "metadata": {
                "name": "network-2026q4",
                "namespace": "radiology",
                "creationTimestamp": "2026-10-01T14:59:00Z",
                "generation": 2,
            },
            "spec": {
                "artifacts": {"uri": "s3://models/network"},
                "runPolicy": {"suspend": suspend, "budget": {"gpuHours": 400}},
            },
            "status": {"observedGeneration": 2, **status},
        }
    )


def condition(kind: str, status: str = "True", reason: str = "Told", message: str = "") -> dict[str, str]:
    """A condition since eight in the morning."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-10-02T08:00:00Z",
    }


def stage(name: str, state: str, **more: Any) -> dict[str, Any]:
    """A stage, at its first attempt unless it waits."""
    begun = (
        {"attempt": 1, "attemptName": f"chex-network-{name.replace('/', '-')}-1"}
        if state != "Waiting"
        else {}
    )
    return {"name": name, "state": state, **begun, **more}
