"""CRDs that stand in for KubeRay's: the fields that we render or read, and no others.

They are stricter than KubeRay's: a field that we never rendered before is refused until it is declared here, where somebody
looks up what KubeRay makes of it. As with KubeRay's, any string does as `submissionMode`, and any length as a name.
"""

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
INTEGER: Schema = {"type": "integer", "format": "int32"}
TIME: Schema = {"type": "string", "format": "date-time"}
STRINGS: Schema = {"type": "object", "additionalProperties": STRING}
ANYTHING: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})


POD_TEMPLATE = ANYTHING
WORKER_GROUP = _object(
    ("groupName", "template"),
    groupName=STRING,
    replicas=INTEGER | {"default": 0},
    minReplicas=INTEGER | {"default": 0},
    maxReplicas=INTEGER | {"default": 2147483647},
    numOfHosts=INTEGER | {"default": 1},
    suspend=BOOLEAN,
    rayStartParams=STRINGS,
    template=POD_TEMPLATE,
)
CLUSTER_SPEC = _object(
    ("headGroupSpec",),
    rayVersion=STRING,
    authOptions=_object(mode={"type": "string", "enum": ["disabled", "token"]}),
    headGroupSpec=_object(("template",), rayStartParams=STRINGS, template=POD_TEMPLATE),
    # Atomic, as in KubeRay: whoever applies a part of it owns all of it.
    workerGroupSpecs={"type": "array", "items": WORKER_GROUP, "x-kubernetes-list-type": "atomic"},
)
CLUSTER_STATUS = _object(
    state=STRING,
    reason=STRING,
    desiredWorkerReplicas=INTEGER,
    readyWorkerReplicas=INTEGER,
    availableWorkerReplicas=INTEGER,
    lastUpdateTime=TIME,
    observedGeneration={"type": "integer", "format": "int64"},
    head=_object(podName=STRING, podIP=STRING, serviceName=STRING),
    conditions={"type": "array", "items": ANYTHING},
)
JOB_SPEC = _object(
    entrypoint=STRING,
    submissionMode=STRING | {"default": "K8sJobMode"},
    jobId=STRING,
    backoffLimit=INTEGER | {"default": 0},
    activeDeadlineSeconds=INTEGER,
    preRunningDeadlineSeconds=INTEGER,
    ttlSecondsAfterFinished=INTEGER | {"default": 0},
    shutdownAfterJobFinishes=BOOLEAN,
    suspend=BOOLEAN,
    submitterConfig=_object(backoffLimit=INTEGER),
    submitterPodTemplate=POD_TEMPLATE,
    rayClusterSpec=CLUSTER_SPEC,
)
JOB_STATUS = _object(
    jobId=STRING,
    rayClusterName=STRING,
    dashboardURL=STRING,
    jobStatus=STRING,
    jobDeploymentStatus=STRING,
    reason=STRING,
    message=STRING,
    startTime=TIME,
    endTime=TIME,
    succeeded=INTEGER,
    failed=INTEGER,
    rayJobInfo=_object(startTime=TIME, endTime=TIME),
    rayClusterStatus=CLUSTER_STATUS,
    observedGeneration={"type": "integer", "format": "int64"},  # declared there too, and never written
)


def ray_definitions() -> list[Schema]:
    """The CRDs, ready to be created."""
    return [
        _definition("rayjobs", "RayJob", JOB_SPEC, JOB_STATUS),
        _definition("rayclusters", "RayCluster", CLUSTER_SPEC, CLUSTER_STATUS),
    ]


def _definition(plural: str, kind: str, spec: Schema, status: Schema) -> Schema:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object(spec=spec, status=status)},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.ray.io"},
        "spec": {
            "group": "ray.io",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [version],
        },
    }
