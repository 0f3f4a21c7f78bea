"""Training through Ray Train: progress, stops, a killed worker, errors that no retry mends."""

import os
import pickle
import signal
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
import torch

from chex_api.dataset import Dataset
from chex_api.encoder import Encoders, ImageEncoder
from chex_api.objective import Objective
from chex_api.pretraining import Optimization
from chex_jobs.artifacts import ArtifactStore, CheckpointStore, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.data.ingest.ingest import ingest
from chex_jobs.data.splits.assignment import roles
from chex_jobs.executor.local_ray import local_ray
from chex_jobs.handover.context import Machine
from chex_jobs.models import build_image_encoder
from chex_jobs.models.weights import load_weights, weights_of
from chex_jobs.training.assemble import assemble_objective
from chex_jobs.training.checkpoint_policy import CheckpointPolicy
from chex_jobs.training.errors import NonFiniteLoss, UnexpectedInWorker, WorkersFailed
from chex_jobs.training.progress import Progress
from chex_jobs.training.ray_launch import _work, launch
from chex_jobs.training.train import TrainingOutcome, train
from chex_jobs.training.training_run import StartWeights, TrainingData, TrainingRun
from tests.unit.data.films import label_references

ENCODERS = Encoders(image=ImageEncoder(architecture="chex-densenet-small", size=64))
EVERY_STEPS = 5

# Ray Train imports Ray Data, whose import reads a deprecated setting of its own (2.60).
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore.open(f"file://{tmp_path_factory.mktemp('artifacts')}")


ARCHIVE = Dataset.parse(
    {
        "name": "archive",
        "source": {"phantom": {"patients": 120}},
        "split": {"patients": {"validate": 0.1, "test": 0.1}},
        "storedShortSide": 64,
        "tasks": [{"name": "effusion", "column": "Effusion", "positive": {"values": ["1"]}}],
    }
)


@pytest.fixture(scope="module")
def films(store: ArtifactStore) -> FinishedArtifact:
    attempt = store.stage("ingest", "archive", "a" * 64).attempt("first")
    return ingest(ARCHIVE, seed=0, attempt=attempt, labels=label_references(ARCHIVE))


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with local_ray(Machine(cpus=2)):
        yield


@pytest.fixture(scope="module")
def moco(store: ArtifactStore, films: FinishedArtifact) -> TrainingRun:
    labels = finished_labels(store, label_references(ARCHIVE))
    train = roles(ChestXrayDataset.open(films)).train
    return TrainingRun(
        objective=Objective.parse({"moCo": {"queueSize": 128, "projectionDim": 16}}),
        encoders=ENCODERS,
        optimization=Optimization(global_batch_size=32, epochs=30, learning_rate=1e-3),
        data=TrainingData(films, train, ("effusion",), labels),
        seed=1,
        batch_norm_group_size=16,
        precision="Float32",
        checkpoint=CheckpointPolicy(every_minutes=None, every_steps=EVERY_STEPS),
    )


def checkpoints(store: ArtifactStore, name: str) -> CheckpointStore:
    return store.stage("pretrain", name, "b" * 64).attempt("first").checkpoints


def supervised(run: TrainingRun, **optimization: float) -> TrainingRun:
    how = run.optimization.model_copy(update=optimization)
    return replace(run, objective=Objective.parse({"supervised": {}}), optimization=how)


class KillOne:
    """On the first report after a checkpoint: SIGKILL to one of this cluster's processes, chosen by its actor's name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reports: list[Progress] = []
        self.killed: int | None = None

    def __call__(self, progress: Progress) -> None:
        self.reports.append(progress)
        if self.killed is None and progress.step > 2 * EVERY_STEPS:
            own = psutil.Process().children(recursive=True)
            named = [process.pid for process in own if self.name in " ".join(process.cmdline())]
            self.killed = named[-1]
            os.kill(self.killed, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(store: ArtifactStore, moco: TrainingRun) -> TrainingOutcome:
    return launch(moco, num_workers=2, checkpoints=checkpoints(store, "undisturbed"))


@pytest.mark.parametrize("name", ["RayTrainWorker", "TrainController", "Mailbox"])
def test_run_with_a_killed_process_ends_in_the_bits_of_an_undisturbed_one(
    store: ArtifactStore, moco: TrainingRun, undisturbed: TrainingOutcome, name: str
) -> None:
    """Trap: `ray.train.report` returning is no commit; our own checkpoints are what the run goes on from."""
    killer = KillOne(name)
    outcome = launch(moco, num_workers=2, checkpoints=checkpoints(store, name), on_progress=killer)
    assert killer.killed is not None
    if name != "Mailbox":
        assert outcome.resumed_from is not None
        assert outcome.resumed_from % EVERY_STEPS == 0
    assert (outcome.status, outcome.step, outcome.num_workers) == ("completed", undisturbed.step, 2)
    assert outcome.epoch_losses == undisturbed.epoch_losses
    assert equal_weights(outcome, undisturbed)
    assert killer.reports[-1].step == outcome.step


def equal_weights(one: TrainingOutcome, other: TrainingOutcome) -> bool:
    assert one.weights.keys() == other.weights.keys()
    return all(
        torch.equal(tensor, other.weights[file][name])
        for file, tensors in one.weights.items()
        for name, tensor in tensors.items()
    )


def test_stop_is_graceful_and_the_next_launch_goes_on(store: ArtifactStore, moco: TrainingRun) -> None:
    run = supervised(moco, epochs=200)
    steps: list[int] = []
    stopped = launch(
        run,
        num_workers=1,
        checkpoints=checkpoints(store, "stopped"),
        on_progress=lambda progress: steps.append(progress.step),
        should_stop=lambda: bool(steps),
    )
    assert stopped.status == "stopped"
    assert steps[0] <= stopped.step < 200 * 3
    rest = train(run, checkpoints=checkpoints(store, "stopped"), until_epoch=stopped.step // 3 + 1)
    assert rest.resumed_from == stopped.step


def test_a_wish_to_stop_from_before_the_start_is_heard_when_the_first_step_is_settled(
    store: ArtifactStore, moco: TrainingRun
) -> None:
    run = supervised(moco, epochs=200)
    stopped = launch(
        run, num_workers=1, checkpoints=checkpoints(store, "stopped-at-once"), should_stop=lambda: True
    )
    # The first step is settled while the second is computed.
    assert (stopped.status, stopped.step) == ("stopped", 2)


def test_loss_that_explodes_reaches_the_driver_as_itself_and_is_not_tried_again(
    store: ArtifactStore, moco: TrainingRun
) -> None:
    exploding = supervised(moco, learning_rate=1e38, warmup_fraction=0.0, gradient_clipping=0.0)
    with pytest.raises(NonFiniteLoss, match="Try a lower learningRate"):
        launch(exploding, num_workers=1, checkpoints=checkpoints(store, "exploding"))


class QuotesAPatient:
    """A run over data that nobody foresaw."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        raise KeyError("patient-4711")


def test_what_a_worker_dies_of_reaches_the_driver_whole(store: ArtifactStore) -> None:
    broken: Any = QuotesAPatient()
    with pytest.raises(
        WorkersFailed, match=r"not started again: KeyError: 'patient-4711'\nIn the worker"
    ) as failed:
        launch(broken, num_workers=1, checkpoints=checkpoints(store, "broken"), max_failures=0)
    (kept,) = failed.value.__notes__
    assert "in __getattr__" in kept


def test_what_a_worker_dies_of_says_its_type_and_place_alone_where_ray_prints_it() -> None:
    with pytest.raises(UnexpectedInWorker) as died:
        _work({"run": QuotesAPatient(), "checkpoints": None, "mailbox": Mock()})
    printed = "".join(traceback.format_exception(died.value))
    assert "UnexpectedInWorker: KeyError at" in printed
    assert "patient-4711" not in printed
    arrived = pickle.loads(pickle.dumps(died.value))
    assert (arrived.kind, arrived.text, arrived.whole) == ("KeyError", "'patient-4711'", died.value.whole)
    assert "patient-4711" in arrived.whole


def test_training_alone_in_this_process_gives_weights_that_load_into_the_encoder(
    films: FinishedArtifact, moco: TrainingRun
) -> None:
    outcome = train(replace(moco, optimization=moco.optimization.model_copy(update={"epochs": 1})))
    encoder = build_image_encoder(ENCODERS.image, 0)
    load_weights(encoder, outcome.weights["image_encoder.safetensors"], where="the outcome")
    assert np.isfinite(outcome.epoch_losses[0])


def test_start_weights_of_a_finished_pretraining_replace_the_encoders_own(
    store: ArtifactStore, moco: TrainingRun
) -> None:
    attempt = store.stage("pretrain", "ssl", "c" * 64).attempt("first")
    trained = {
        name: tensor + 1.0 for name, tensor in weights_of(build_image_encoder(ENCODERS.image, 7)).items()
    }
    attempt.write_safetensors("image_encoder.safetensors", trained)
    start = StartWeights(artifact=attempt.commit({}))
    objective = assemble_objective(replace(moco, start=start), world_size=1)
    encoder = objective.get_submodule("image_encoder")
    assert all(torch.equal(tensor, trained[name]) for name, tensor in weights_of(encoder).items())
