"""The RayJob of an attempt. It is created once and never applied again: Kueue owns `suspend` and node selectors from then on.

Facts of KubeRay 1.7 that shape it: without `submitterConfig.backoffLimit: 0` a lost head runs the entry point twice in one RayJob;
edits of a created RayJob are ignored; a RayJob with `suspend` needs `shutdownAfterJobFinishes`; the entry point is spliced into
`bash -ec`, so it is a constant.
"""

from chex_api.runtime import Pool
from chex_operator.kube.resource import Object
from chex_operator.rendering.attempt import Attempt, WorkerGroup
from chex_operator.rendering.names import attempt_name, metadata, stage_name
from chex_operator.rendering.pods import pod_template
from chex_operator.rendering.queueing import affinity, queue_label, scheduler_labels, topology_annotation

ENTRYPOINT = "python -m chex_jobs.executor.cluster"
HEAD_SHARED_MEMORY = "1Gi"
SUBMITTER_RESOURCES = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}


def ray_job(attempt: Attempt) -> Object:
    """The RayJob, ready to be created with strict field validation."""
    reference = attempt.reference
    rendered = metadata(reference, attempt_name(reference))
    rendered["labels"] |= queue_label(attempt.policy) | scheduler_labels(attempt.runtime)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": rendered,
        "spec": {
            "entrypoint": ENTRYPOINT,
            "submissionMode": "K8sJobMode",
            "backoffLimit": 0,
            "submitterConfig": {"backoffLimit": 0},
            "submitterPodTemplate": pod_template(
                attempt,
                "submitter",
                SUBMITTER_RESOURCES,
                mounted=stage_name(attempt_name(reference)),
                shared_memory=HEAD_SHARED_MEMORY,
            ),
            "shutdownAfterJobFinishes": True,
            "preRunningDeadlineSeconds": attempt.policy.pre_running_deadline_seconds,
            "rayClusterSpec": _cluster(attempt),
        },
    }


def _cluster(attempt: Attempt) -> Object:
    spec: Object = {
        "rayVersion": attempt.runtime.ray_version,
        "authOptions": {"mode": "token"},
        "headGroupSpec": _head(attempt),
    }
    if attempt.workers is not None:
        spec["workerGroupSpecs"] = [_workers(attempt, attempt.workers)]
    return spec


def _head(attempt: Attempt) -> Object:
    size = attempt.runtime.head
    resources = _resources({"cpu": size.cpu, "memory": size.memory})
    # The head runs the driver. Work goes to the workers, but for stages that have none.
    start = {"num-cpus": "0"} if attempt.workers is not None else {}
    template = pod_template(
        attempt,
        "head",
        resources,
        mounted=stage_name(attempt_name(attempt.reference)),
        shared_memory=HEAD_SHARED_MEMORY,
    )
    return {"rayStartParams": {"dashboard-host": "0.0.0.0", **start}, "template": template}  # noqa: S104 - behind token and NetworkPolicy


def _workers(attempt: Attempt, group: WorkerGroup) -> Object:
    """All workers or none: KubeRay submits once every replica is ready."""
    template = pod_template(
        attempt,
        "worker",
        _resources(_of_pool(group.pool)),
        mounted=stage_name(attempt_name(attempt.reference)),
        shared_memory=group.pool.shared_memory,
        placement=_placement(group.pool) | affinity(group.pool, attempt_name(attempt.reference)),
    )
    if close := topology_annotation(group.pool):
        template["metadata"]["annotations"] = close
    return {
        "groupName": group.pool.name,
        "replicas": group.count,
        "minReplicas": group.count,
        "maxReplicas": group.count,
        "rayStartParams": {},
        "template": template,
    }


def _of_pool(pool: Pool) -> dict[str, str]:
    asked = {"cpu": pool.cpu, "memory": pool.memory, "ephemeral-storage": pool.ephemeral_storage}
    return asked | ({pool.gpu_resource: str(pool.gpus)} if pool.gpus else {})


def _resources(asked: dict[str, str]) -> Object:
    """Guaranteed: what is asked for is what there is, so that a neighbour never slows a run that others wait for."""
    return {"requests": dict(asked), "limits": dict(asked)}


def _placement(pool: Pool) -> Object:
    placement: Object = {}
    if pool.node_selector:
        placement["nodeSelector"] = dict(pool.node_selector)
    if pool.tolerations:
        placement["tolerations"] = [
            {name: value for name, value in toleration.plain().items() if value}
            for toleration in pool.tolerations
        ]
    return placement
