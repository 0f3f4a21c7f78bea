"""Attempts to render: one that uses every setting, one with as little as possible."""

from typing import Any

from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_api.run_policy import RunPolicy
from chex_api.runtime import RuntimeSpec
from chex_operator.rendering import Attempt, AttemptReference, JobReference, Preflight, WorkerGroup
from chex_operator.rules.frozen_plan import document_of
from tests.pipeline.manifest import tiny_job

JOB = JobReference("radiology", "network-2026q4", "6a1f0c1e-7d7e-4c3e-9a53-0d8ad7f0f8b1", generation=3)

RUNTIME: dict[str, Any] = {
    "image": "registry.example/chex-jobs@sha256:" + "ab" * 32,
    "rayVersion": "2.60.0",
    "head": {"cpu": "4", "memory": "16Gi"},
    "pools": [
        {
            "name": "gpu",
            "cpu": "12",
            "memory": "120Gi",
            "sharedMemory": "32Gi",
            "gpus": 1,
            "nodeSelector": {"accelerator": "h200"},
            "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
        },
        {"name": "cpu", "cpu": "8", "memory": "32Gi"},
    ],
    "storage": {
        "region": "eu-central-1",
        "credentials": {"serviceAccountName": "chex-jobs"},
        "readPrefixes": ["s3://radiology-data/"],
        "writePrefixes": ["s3://radiology-models/{namespace}/"],
    },
    "network": {
        "apiServerCIDRs": ["10.0.0.1/32"],
        "storageCIDRs": ["52.219.0.0/16"],
        "kubeRaySelector": {"app.kubernetes.io/name": "kuberay"},
        "prometheusSelector": {"app.kubernetes.io/name": "prometheus"},
    },
}


def runtime(**changes: Any) -> RuntimeSpec:
    return RuntimeSpec.parse({**RUNTIME, **changes})


ARTIFACTS = "s3://radiology-models/radiology/tiny"


def attempt(
    kind: Any = "pretrain",
    name: str = "ssl",
    *,
    number: int = 2,
    job: JobReference = JOB,
    artifacts: str = ARTIFACTS,
    **changes: Any,
) -> Attempt:
    """An attempt at a stage of the tiny job; `runtime`, `policy` and `workers` may be replaced."""
    valid = validate_job(tiny_job(artifacts)).job
    assert valid is not None
    stage = make_plan(valid, {}).stage(kind, name)
    given = changes.get("runtime", runtime())
    workers = changes.get("workers", WorkerGroup(given.pools[0], 8))
    policy = changes.get("policy", RunPolicy(queue_name="research", priority_class_name="batch"))
    reference = AttemptReference(job, stage.kind, stage.name, stage.identity, number)
    return Attempt(reference, document_of(stage), given, policy, workers)


def preflight(*, number: int = 1, job: JobReference = JOB) -> Preflight:
    """A preflight of the tiny job."""
    manifest = tiny_job(ARTIFACTS)
    policy = RunPolicy(queue_name="research", priority_class_name="batch")
    return Preflight(job, manifest, "5" * 64, number, runtime(), policy)
