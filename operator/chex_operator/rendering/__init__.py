"""From an attempt at a stage to the Kubernetes objects that run it. Pure: equal attempts give equal objects.

attempt       what is to be run: job, stage, number, the runtime's snapshot, workers
names         deterministic names within KubeRay's limits, and labels
pods          Pods that `restricted` Pod Security admits
ray_job       the RayJob: created once, never applied again
config_maps   the stage spec that the entry point reads, the progress that it writes
access        who may write that progress, and nothing else
network       whom the Pods may reach, and who may reach them

`supporting_objects` are applied first, then `ray_job` is created.
"""

from chex_operator.rendering.access import progress_access
from chex_operator.rendering.attempt import Attempt, JobReference, WorkerGroup
from chex_operator.rendering.config_maps import progress_config_map, stage_config_map
from chex_operator.rendering.names import attempt_name
from chex_operator.rendering.network import network_policies
from chex_operator.rendering.ray_job import ray_job
from chex_operator.runtime.resource import Object

__all__ = [
    "Attempt",
    "JobReference",
    "Object",
    "WorkerGroup",
    "attempt_name",
    "ray_job",
    "supporting_objects",
]


def supporting_objects(attempt: Attempt) -> tuple[Object, ...]:
    """Everything that must exist before the attempt's RayJob is created, in an order in which it can be applied."""
    return (
        stage_config_map(attempt),
        progress_config_map(attempt),
        *progress_access(attempt),
        *network_policies(attempt),
    )
