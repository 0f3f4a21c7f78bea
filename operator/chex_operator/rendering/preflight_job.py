"""The Job of a preflight: a small Pod without GPU."""

from chex_operator.kube.resource import Object
from chex_operator.rendering.attempt import Preflight
from chex_operator.rendering.names import attempt_name, metadata, progress_name
from chex_operator.rendering.pods import pod_template
from chex_operator.rendering.queueing import queue_label

COMMAND = ["python", "-m", "chex_jobs.executor.preflight"]
RESOURCES = {
    "requests": {"cpu": "500m", "memory": "1Gi"},
    "limits": {"cpu": "2", "memory": "4Gi"},
}
SHARED_MEMORY = "64Mi"


def preflight_job(preflight: Preflight) -> Object:
    """The Job, created once. Kubernetes does not retry it: attempts are counted and reported by the operator."""
    reference = preflight.reference
    rendered = metadata(reference, attempt_name(reference))
    rendered["labels"] |= queue_label(preflight.policy)
    template = pod_template(
        preflight,
        "preflight",
        RESOURCES,
        mounted=progress_name(attempt_name(reference)),
        shared_memory=SHARED_MEMORY,
    )
    template["spec"]["containers"][0]["command"] = COMMAND
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": rendered,
        "spec": {"backoffLimit": 0, "completions": 1, "parallelism": 1, "template": template},
    }
