"""How Kueue learns of what an attempt asks for."""

from chex_api.run_policy import RunPolicy

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def queue_label(policy: RunPolicy) -> dict[str, str]:
    """The label that hands a RayJob or Job to a LocalQueue; none where the job names no queue."""
    return {QUEUE_LABEL: policy.queue_name} if policy.queue_name else {}
