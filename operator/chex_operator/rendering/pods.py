"""Pods of an attempt: what `restricted` Pod Security asks for, S3 credentials, shared memory, room for Ray's files.

IPC_LOCK, which NCCL over InfiniBand would like, is refused even by `baseline`, so it is not asked for.
"""

from chex_api.attempt import KMS_KEY_VARIABLE, MOUNTED_FOLDER
from chex_api.runtime import RuntimeSpec
from chex_operator.kube.resource import Object
from chex_operator.rendering.attempt import Runnable
from chex_operator.rendering.names import labels

USER_ID = 1000
GRACE_SECONDS = 120
"""Time for a checkpoint when a Pod is terminated."""
CONTAINER = {
    "head": "ray-head",
    "worker": "ray-worker",
    "submitter": "ray-job-submitter",
    "preflight": "preflight",
}
WITH_TOKEN = frozenset({"head", "preflight"})
"""Where a driver runs, which reports its progress to the API server."""


def service_account_name(runtime: RuntimeSpec) -> str:
    """The ServiceAccount of the runtime's Pods; with keys in a Secret it is the namespace's default one."""
    return runtime.storage.credentials.service_account_name or "default"


def pod_template(
    attempt: Runnable,
    role: str,
    resources: Object,
    *,
    mounted: str,
    shared_memory: str,
    placement: Object | None = None,
) -> Object:
    """A Pod template for the head, a worker, the submitter, or a preflight.

    Args:
        attempt: what is run.
        role: `head`, `worker`, `submitter` or `preflight`.
        resources: requests and limits of its container.
        mounted: the ConfigMap that its container reads.
        shared_memory: size of /dev/shm, a Kubernetes quantity; it counts as memory of the Pod.
        placement: nodeSelector and tolerations.
    """
    spec = {
        "serviceAccountName": service_account_name(attempt.runtime),
        "automountServiceAccountToken": role in WITH_TOKEN,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(attempt, role, resources)],
        "volumes": _volumes(mounted, shared_memory),
        **(placement or {}),
    }
    if attempt.policy.priority_class_name:
        spec["priorityClassName"] = attempt.policy.priority_class_name
    return {"metadata": {"labels": labels(attempt.reference)}, "spec": spec}


def _container(attempt: Runnable, role: str, resources: Object) -> Object:
    return {
        "name": CONTAINER[role],
        "image": attempt.runtime.image,
        "env": _environment(attempt.runtime),
        "resources": resources,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "stage", "mountPath": MOUNTED_FOLDER, "readOnly": True},
            {"name": "ray", "mountPath": "/tmp/ray"},  # noqa: S108 - where Ray keeps its sockets and logs
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 - Ray's object store
        ],
    }


def _volumes(mounted: str, shared_memory: str) -> list[Object]:
    return [
        {"name": "stage", "configMap": {"name": mounted}},
        {"name": "ray", "emptyDir": {}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}},
    ]


def _environment(runtime: RuntimeSpec) -> list[Object]:
    """Storage, Ray's settings, then what the platform team adds. Values are literal: Pods expand `$(NAME)`, so `$` is doubled."""
    storage = runtime.storage
    plain = {
        "HF_HUB_OFFLINE": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
        **({"AWS_REGION": storage.region} if storage.region else {}),
        **({"AWS_ENDPOINT_URL": storage.endpoint_url} if storage.endpoint_url else {}),
        **({KMS_KEY_VARIABLE: storage.kms_key_id} if storage.kms_key_id else {}),
        **{variable.name: variable.value for variable in runtime.env},
    }
    variables: list[Object] = [
        {"name": name, "value": value.replace("$", "$$")} for name, value in sorted(plain.items())
    ]
    if storage.credentials.secret_name:
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            reference = {"name": storage.credentials.secret_name, "key": key}
            variables.append({"name": key, "valueFrom": {"secretKeyRef": reference}})
    return variables
