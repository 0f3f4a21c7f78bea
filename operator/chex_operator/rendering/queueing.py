"""How queues and batch schedulers learn of what an attempt asks for."""

from chex_api.run_policy import RunPolicy
from chex_api.runtime import Pool, RuntimeSpec
from chex_operator.kube.resource import Object
from chex_operator.rendering.names import ATTEMPT_LABEL

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
REQUIRED_TOPOLOGY = "kueue.x-k8s.io/podset-required-topology"
PREFERRED_TOPOLOGY = "kueue.x-k8s.io/podset-preferred-topology"
RAY_NODE_TYPE = "ray.io/node-type"
"""KubeRay's label that distinguishes workers from the head."""
MOST_WEIGHT = 100


def queue_label(policy: RunPolicy) -> dict[str, str]:
    """The label that hands a RayJob or Job to a LocalQueue; none where the job names no queue."""
    return {QUEUE_LABEL: policy.queue_name} if policy.queue_name else {}


def scheduler_labels(runtime: RuntimeSpec) -> dict[str, str]:
    """What a batch scheduler reads on a RayJob; KubeRay copies it to the RayCluster. None of these keys can be one of ours."""
    return {label.key: label.value for label in runtime.scheduling.labels}


def topology_annotation(pool: Pool) -> dict[str, str]:
    """What asks Kueue for machines that are close to each other, before it admits (its topology-aware scheduling)."""
    if pool.topology is None:
        return {}
    return {REQUIRED_TOPOLOGY if pool.topology.required else PREFERRED_TOPOLOGY: pool.topology.key}


def affinity(pool: Pool, attempt: str) -> Object:
    """What asks kube-scheduler for the same; it decides Pod by Pod, the first of them freely."""
    if pool.topology is None:
        return {}
    term: Object = {
        "labelSelector": {"matchLabels": {ATTEMPT_LABEL: attempt, RAY_NODE_TYPE: "worker"}},
        "topologyKey": pool.topology.key,
    }
    if pool.topology.required:
        return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    weighted = {"weight": MOST_WEIGHT, "podAffinityTerm": term}
    return {"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]}}}
