"""What KubeRay makes of a RayJob: the RayCluster, its Pods, and the submitter's Job. Pure."""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from chex_operator.kube.resource import Object

ENGINE = "chexdragon.dev/ray-engine"
"""Who plays the submitter's Job: Kubernetes' own controller takes a second for each change of a Pod, and leaves it to us."""
CLUSTER_LABEL = "ray.io/cluster"
NODE_TYPE_LABEL = "ray.io/node-type"
GROUP_LABEL = "ray.io/group"
RAY_JOB_LABEL = "ray.io/originated-from-cr-name"
HEAD_GROUP = "headgroup"
MOST_OF_A_NAME = 50
"""Characters of a cluster's name that go into the names of its Pods."""


@dataclass(frozen=True)
class Place:
    """A Pod that a RayCluster should have: the head, or one replica of a group."""

    group: str
    index: int

    @property
    def node_type(self) -> str:
        return "head" if self.group == HEAD_GROUP else "worker"


def suffix() -> str:
    """Five characters, as Kubernetes draws them."""
    return "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))


def now() -> str:
    """As the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def owned_by(owner: Object, kind: str, api_version: str) -> Object:
    """Metadata of a child in the owner's namespace."""
    metadata = owner["metadata"]
    reference = {
        "apiVersion": api_version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {"namespace": metadata["namespace"], "ownerReferences": [reference]}


def ray_cluster(job: Object, name: str) -> Object:
    """The cluster of a RayJob; it has the RayJob's labels and annotations too."""
    about = {
        RAY_JOB_LABEL: job["metadata"]["name"],
        "ray.io/originated-from-crd": "RayJob",
        "ray.io/job-submission-mode": job["spec"]["submissionMode"],
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {
            **owned_by(job, "RayJob", "ray.io/v1"),
            "name": name,
            "labels": {**job["metadata"].get("labels", {}), **about},
            "annotations": dict(job["metadata"].get("annotations", {})),
        },
        "spec": copy.deepcopy(job["spec"]["rayClusterSpec"]),
    }


def places(cluster: Object) -> Iterator[Place]:
    """The Pods that a cluster should have, the head first."""
    yield Place(HEAD_GROUP, 0)
    for group in cluster["spec"].get("workerGroupSpecs", []):
        wanted = max(group.get("replicas", 0), group.get("minReplicas", 0))
        for index in range(wanted * group.get("numOfHosts", 1)):
            yield Place(group["groupName"], index)


def cluster_pod(cluster: Object, place: Place) -> Object:
    """A Pod of a cluster. Labels of the template win, but for the three that KubeRay finds it by."""
    spec, name = cluster["spec"], cluster["metadata"]["name"]
    template = (
        spec["headGroupSpec"]["template"]
        if place.node_type == "head"
        else next(
            group["template"] for group in spec["workerGroupSpecs"] if group["groupName"] == place.group
        )
    )
    pod = _pod(template, owned_by(cluster, "RayCluster", "ray.io/v1"))
    role = "head" if place.node_type == "head" else f"{place.group}-worker"
    pod["metadata"]["name"] = f"{name[:MOST_OF_A_NAME]}-{role}-{suffix()}"
    pod["metadata"]["labels"] = {
        "ray.io/is-ray-node": "yes",
        "ray.io/identifier": f"{name}-{place.node_type}",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
        **pod["metadata"]["labels"],
        CLUSTER_LABEL: name,
        NODE_TYPE_LABEL: place.node_type,
        GROUP_LABEL: place.group,
    }
    label = {"fieldRef": {"fieldPath": f"metadata.labels['{CLUSTER_LABEL}']"}}
    head = "127.0.0.1" if place.node_type == "head" else f"{name}-head-svc"
    pod["spec"]["containers"][0].setdefault("env", []).extend(
        [
            {"name": "RAY_CLUSTER_NAME", "valueFrom": label},
            {"name": "RAY_CLUSTER_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "RAY_ADDRESS", "value": f"{head}:6379"},
        ]
    )
    return pod


def submitter_job(job: Object) -> Object:
    """The Job of the Pod that submits the entry point, named like the RayJob."""
    status, spec = job["status"], job["spec"]
    template = copy.deepcopy(spec["submitterPodTemplate"])
    about = {
        RAY_JOB_LABEL: job["metadata"]["name"],
        "ray.io/originated-from-crd": "RayJob",
        "app.kubernetes.io/created-by": "kuberay-operator",
    }
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels.update(about)
    template["spec"]["containers"][0].setdefault("env", []).extend(
        [
            {"name": "RAY_DASHBOARD_ADDRESS", "value": status.get("dashboardURL", "")},
            {"name": "RAY_JOB_SUBMISSION_ID", "value": status["jobId"]},
        ]
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            **owned_by(job, "RayJob", "ray.io/v1"),
            "name": job["metadata"]["name"],
            "labels": about,
        },
        "spec": {
            "backoffLimit": spec.get("submitterConfig", {}).get("backoffLimit", 2),
            "managedBy": ENGINE,
            "template": template,
        },
    }


def submitter_pod(job: Object) -> Object:
    """A Pod of the submitter's Job."""
    pod = _pod(job["spec"]["template"], owned_by(job, "Job", "batch/v1"))
    pod["metadata"]["name"] = f"{job['metadata']['name']}-{suffix()}"
    return pod


def _pod(template: Object, metadata: Object) -> Object:
    made = copy.deepcopy(template)
    own = made.get("metadata", {})
    labels, annotations = own.get("labels", {}), own.get("annotations", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "labels": dict(labels), "annotations": dict(annotations)},
        "spec": made["spec"],
    }
