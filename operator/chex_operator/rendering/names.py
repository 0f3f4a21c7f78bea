"""Deterministic names and the labels by which everything of an attempt is found again."""

import hashlib

from chex_api import API_VERSION
from chex_operator.kube.resource import Object
from chex_operator.rendering.attempt import AttemptReference, JobReference

DOMAIN = "chexdragon.dev"
JOB_UID_LABEL = f"{DOMAIN}/job-uid"
ATTEMPT_LABEL = f"{DOMAIN}/attempt-name"
ROLE_LABEL = f"{DOMAIN}/role"
"""On ConfigMaps: which of them the operator follows."""
_JOB_PART = 14


def attempt_name(attempt: AttemptReference) -> str:
    """The name of an attempt's RayJob (or Job) and of what belongs to it.

    At most 43 characters, DNS-1035: KubeRay refuses RayJobs above 47 after admitting them
    (ray-operator/controllers/ray/utils/constant.go). The same attempt always has the same name, so that an operator with an
    old cache meets AlreadyExists and not a second cluster. The hash holds the job's uid: a job that was deleted and
    created again never adopts children of the old one.
    """
    identified = f"{attempt.job.uid}/{attempt.kind}/{attempt.name}/{attempt.identity}"
    digest = hashlib.sha256(identified.encode()).hexdigest()[:8]
    job = attempt.job.name[:_JOB_PART].rstrip("-.").replace(".", "-")
    return f"chex-{job}-{attempt.kind}-{digest}-{attempt.number}"


def stage_name(attempt: str) -> str:
    """The name of the ConfigMap that the Pods of an attempt at a stage mount."""
    return f"{attempt}-stage"


def progress_name(attempt: str) -> str:
    """The name of the ConfigMap that the driver of an attempt patches."""
    return f"{attempt}-progress"


def plan_name(job: JobReference, identity: str) -> str:
    """The name of the ConfigMap that holds a job's frozen plan."""
    digest = hashlib.sha256(f"{job.uid}/plan/{identity}".encode()).hexdigest()[:8]
    return f"chex-{job.name[:_JOB_PART].rstrip('-.').replace('.', '-')}-plan-{digest}"


def job_labels(job: JobReference) -> dict[str, str]:
    """Labels of every object of a job."""
    return {
        "app.kubernetes.io/name": "chex-training-job",
        "app.kubernetes.io/instance": _label_value(job.name),
        "app.kubernetes.io/managed-by": "chex-operator",
        JOB_UID_LABEL: job.uid,
    }


def labels(attempt: AttemptReference) -> dict[str, str]:
    """Labels of every object of an attempt, its Pods included."""
    return {
        **job_labels(attempt.job),
        "app.kubernetes.io/component": attempt.kind,
        ATTEMPT_LABEL: attempt_name(attempt),
        f"{DOMAIN}/stage": _label_value(attempt.name),
        f"{DOMAIN}/attempt": str(attempt.number),
    }


def _label_value(name: str) -> str:
    """As much of a name as a label holds: object names may have 253 characters, labels 63. The uid tells jobs apart."""
    return name[:63].rstrip("-.")


def metadata(attempt: AttemptReference, name: str) -> Object:
    """Metadata of an object of an attempt; it goes when the job goes."""
    return {
        "name": name,
        "namespace": attempt.job.namespace,
        "labels": labels(attempt),
        "ownerReferences": [owner_reference(attempt.job)],
    }


def owner_reference(job: JobReference) -> Object:
    """The job as the one controller of its children."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ChexTrainingJob",
        "name": job.name,
        "uid": job.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
