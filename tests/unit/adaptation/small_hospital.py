"""A hospital of some dozens of generated films, ingested into a folder, and the stage that adapts to it."""

from pathlib import Path
from typing import Any

from chex_api.job import ChexTrainingJob
from chex_api.plan import make_plan
from chex_api.stage import StageSpec
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.data.ingest import ingest

STRATEGIES: list[dict[str, Any]] = [
    {"name": "probe", "transfer": "LinearProbe"},
    {"name": "lp-ft", "transfer": "LPFT", "fineTuning": {"epochs": 3, "batchSize": 8, "minSteps": 0}},
    {
        "name": "dapt-fine-tune",
        "transfer": "FineTune",
        "fineTuning": {"epochs": 2, "batchSize": 8, "minSteps": 0, "freezeBatchNorm": True},
        "dapt": {
            "objective": {"moCo": {"queueSize": 16}},
            "epochs": 1,
            "configurations": 2,
            "globalBatchSize": 8,
        },
    },
]


def manifest(folder: Path, **changes: Any) -> ChexTrainingJob:
    """One hospital without pretraining. `changes` replace fields of the hospital, or of its sweep with `sweep=`."""
    sweep = {
        "trialsPerArm": 3, "draws": 2, "finalSeeds": 2, "concurrency": 2,
        "space": [{"parameter": "learningRate", "logUniform": {"min": 1e-4, "max": 1e-2}}],
        **changes.pop("sweep", {}),
    }  # fmt: skip
    hospital = {
        "name": "north", "dataset": "north", "tasks": ["effusion"], "startFrom": [{"random": {}}],
        "strategies": STRATEGIES, "labelFractions": [0.5, 1.0], "batchNorm": {"groupSize": 4}, "sweep": sweep,
    }  # fmt: skip
    dataset = {
        "name": "north",
        "source": changes.pop("source", {"phantom": {"patients": 40, "hospital": 1, "seed": 2}}),
        "split": changes.pop("split", {"patients": {"validate": 0.3, "test": 0.3}}),
        "storedShortSide": 64,
        "tasks": [{"name": "effusion", "column": "Effusion", "positive": {"values": ["1"]}}],
    }
    spec = {
        "artifacts": {"uri": folder.resolve().as_uri()},
        "datasets": [dataset],
        "encoders": {"image": {"architecture": "chex-densenet-small", "size": 32}, "text": {"maxTokens": 16}},
        "hospitals": [{**hospital, **changes}],
    }
    return ChexTrainingJob.parse(
        {
            "apiVersion": "chexdragon.dev/v1alpha1",
            "kind": "ChexTrainingJob",
            "metadata": {"name": "small", "namespace": "tests"},
            "spec": spec,
        }
    )


def ingested_stage(folder: Path, **changes: Any) -> tuple[StageSpec, ArtifactStore]:
    """The adapt stage of `manifest`, its data set ingested."""
    job = manifest(folder, **changes)
    plan, store = make_plan(job, {}), ArtifactStore.open(job.spec.artifacts.uri)
    stage = plan.stage("ingest", "north")
    assert stage.work.ingest is not None
    artifact = store.stage(stage.kind, stage.name, stage.identity)
    if artifact.finished() is None:
        work = stage.work.ingest
        ingest(
            work.dataset,
            seed=stage.seed,
            attempt=artifact.attempt("ingest"),
            labels=work.labels,
            outcomes=work.outcomes,
        )
    return plan.stage("adapt", "north"), store
