"""A hospital of some dozens of generated films, ingested into a folder, and the stage that adapts to it."""

from pathlib import Path
from typing import Any

from chex_api.hospital import FineTuning
from chex_api.job import ChexTrainingJob
from chex_api.plan import make_plan
from chex_api.stage import StageSpec
from chex_jobs.adaptation.context import AdaptationContext
from chex_jobs.adaptation.execute import execute
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.data.ingest.ingest import ingest
from chex_jobs.sweep.arms import Summary, c_path
from chex_jobs.sweep.draws import LabelSet
from chex_jobs.sweep.units import FeaturesUnit, ProbeUnit, Recipe, Site, Start, TrialUnit

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


ALL = LabelSet(1.0, 0)
SETTINGS = FineTuning(epochs=4, batch_size=8, min_steps=0)


class Hospital:
    """The small hospital and its units."""

    def __init__(self, stage: StageSpec, store: ArtifactStore) -> None:
        assert stage.work.adapt is not None
        hospital = stage.work.adapt.hospital
        self.stage, self.store = stage, store
        self.context = AdaptationContext(stage, store, "tests")
        self.site = Site(
            dataset=stage.work.adapt.dataset.films.identity,
            tasks=hospital.tasks,
            labels=tuple(label.identity for label in stage.work.adapt.dataset.labels),
            seed=stage.seed,
            unit="Image",
            encoder=stage.work.adapt.encoders.image,
            augmentation=hospital.augmentation,
            batch_norm=hospital.batch_norm,
            precision=hospital.precision,
            metric="AUROC",
        )
        self.start = Start(stage.work.adapt.starts[0].identity)
        self.features = FeaturesUnit(self.site, self.start, None)
        self.probe = ProbeUnit(self.site, self.features, ALL, c_path(5))
        execute(self.features, self.context)
        self.probed = execute(self.probe, self.context)

    def films(self) -> ChestXrayDataset:
        """The ingested films with their labels."""
        adapt = self.stage.work.adapt
        assert adapt is not None
        return ChestXrayDataset.open(
            self.context.ingested(), finished_labels(self.store, adapt.dataset.labels)
        )

    def trial(
        self, until: int, previous: TrialUnit | None = None, *, head: bool = True, rate: float = 1e-3
    ) -> TrialUnit:
        recipe = Recipe(SETTINGS, (("learningRate", rate),))
        return TrialUnit(
            self.site, self.start, None, ALL, recipe, self.probe if head else None, until, previous
        )

    def run(self, unit: TrialUnit, folder: Path | None = None) -> Summary:
        """Run a unit; in a context of its own, on a copy of nothing but what it reads, where a folder is given."""
        return execute(unit, self.context if folder is None else Hospital(*ingested_stage(folder)).context)
