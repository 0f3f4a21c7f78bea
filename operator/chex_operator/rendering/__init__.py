"""From an attempt at a stage to the Kubernetes objects that run it. Pure: equal attempts give equal objects.

attempt        what is to be run: job, stage, number, the runtime's snapshot, workers
names          deterministic names within KubeRay's limits, and labels
queueing       Kueue's label
pods           Pods that `restricted` Pod Security admits
ray_job        the RayJob: created once, never applied again
preflight_job  the Job of a preflight
config_maps    what the entry point reads, the progress that it writes
access         who may write that progress, and nothing else
network        whom the Pods may reach, and who may reach them

`supporting_objects` are applied first, then `ray_job` is created; `preflight_support` and `preflight_job` likewise.
"""

from chex_operator.kube.resource import Object
from chex_operator.rendering.access import progress_access
from chex_operator.rendering.attempt import (
    PREFLIGHT,
    Attempt,
    AttemptReference,
    JobReference,
    Preflight,
    WorkerGroup,
)
from chex_operator.rendering.config_maps import preflight_config_map, progress_config_map, stage_config_map
from chex_operator.rendering.names import attempt_name
from chex_operator.rendering.network import network_policies
from chex_operator.rendering.preflight_job import preflight_job
from chex_operator.rendering.ray_job import ray_job

__all__ = [
    "PREFLIGHT",
    "Attempt",
    "AttemptReference",
    "JobReference",
    "Object",
    "Preflight",
    "WorkerGroup",
    "attempt_name",
    "preflight_job",
    "preflight_support",
    "ray_job",
    "supporting_objects",
]


def supporting_objects(attempt: Attempt) -> tuple[Object, ...]:
    """Everything that must exist before the attempt's RayJob is created, in an order in which it can be applied."""
    return (
        stage_config_map(attempt),
        progress_config_map(attempt.reference),
        *progress_access(attempt),
        *network_policies(attempt),
    )


def preflight_support(preflight: Preflight) -> tuple[Object, ...]:
    """Everything that must exist before the preflight's Job is created."""
    return (preflight_config_map(preflight), *progress_access(preflight), *network_policies(preflight))
