"""The workbench of one process: what its units of work read, kept warm from one unit to the next."""

import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chex_api.encoder import ImageEncoder
from chex_api.stage import AdaptSpec, StageSpec
from chex_jobs.adaptation.score import ValidationSet
from chex_jobs.adaptation.visible_data import AdaptationData
from chex_jobs.artifacts import Artifact, ArtifactStore, AttemptWriter, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.evaluation.statistics.aggregation import map_units
from chex_jobs.handover.files import IMAGE_ENCODER
from chex_jobs.handover.parents import MissingParent, finished_parent
from chex_jobs.models import ImageEncoderModule, build_image_encoder
from chex_jobs.models.image_weights import load_image_encoder
from chex_jobs.models.weights import load_weights
from chex_jobs.sweep.draws import LabelSet
from chex_jobs.sweep.units import DaptUnit, Encoder, FeaturesUnit, WorkUnit
from chex_jobs.training.start_weights import StartWeights, weights_of_start

FEATURES_FILE = "features.safetensors"
FEATURES_KEPT = 8
"""Sets of features kept in memory; DenseNet-121's of 100,000 films take 400 MB each."""


class NoLabels(ValueError):
    """There is nothing to learn from or to choose on. A fault of the manifest or of the data, not of a machine."""


class NotFinite(ValueError):
    """An encoder gives features that are NaN or infinite: nothing can be learned from them."""


@dataclass(frozen=True)
class Features:
    """Features of films in their standard view."""

    ordinals: NDArray[np.int64]
    """[N], ascending."""
    values: NDArray[np.float32]
    """[N, D]"""

    def of(self, ordinals: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of some of the films, in the order asked for."""
        return self.values[np.searchsorted(self.ordinals, ordinals)]


@dataclass(frozen=True)
class LabelledFilms:
    """Films of one role with their labels, in one draw."""

    ordinals: NDArray[np.int64]
    """[N]"""
    labels: NDArray[np.float32]
    """[N, T]"""


class AdaptationContext:
    """Everything that units of one hospital read, by what they need; opened once in each process."""

    def __init__(self, stage: StageSpec, store: ArtifactStore, attempt_id: str) -> None:
        """`attempt_id` is the stage's; objects are written under it and a token of this process."""
        assert stage.work.adapt is not None, "a workbench is for stages of kind adapt"
        self.spec: AdaptSpec = stage.work.adapt
        self.seed = stage.seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._store = store
        self._attempt_id = f"{attempt_id[:100]}.{secrets.token_hex(4)}"
        self._dataset: ChestXrayDataset | None = None
        self._folds: dict[int | None, AdaptationData] = {}
        self._features: OrderedDict[str, Features] = OrderedDict()

    def data(self, fold: int | None) -> AdaptationData:
        """The films of one fold that adaptation may see."""
        if fold not in self._folds:
            self._dataset = self._dataset or ChestXrayDataset.open(
                self.ingested(), finished_labels(self._store, self.spec.dataset.labels)
            )
            self._folds[fold] = AdaptationData(self._dataset, fold)
        return self._folds[fold]

    def ingested(self) -> FinishedArtifact:
        """The ingested data set. Raises `MissingParent`."""
        return finished_parent(self._store, self.spec.dataset.films)

    def labelled(self, fold: int | None, role: str, labels: LabelSet) -> LabelledFilms:
        """The labelled films of a role, `train` or `validate`, that belong to a draw. Raises `NoLabels`."""
        data, tasks = self.data(fold), self.spec.hospital.tasks
        ordinals = data.drawn(role, tasks, labels, self.seed)
        if not len(ordinals):
            where = "" if fold is None else f" of fold {fold}"
            raise NoLabels(
                f"none of the films that {role}{where} has a label of {', '.join(tasks)}; "
                "check the tasks' columns, their blank and uncertain policies, and the split"
            )
        return LabelledFilms(ordinals, data.label_matrix(tasks)[ordinals])

    def validation_set(self, fold: int | None, labels: LabelSet) -> ValidationSet:
        """The labelled validation films of a draw, ready to score logits."""
        films, data = self.labelled(fold, "validate", labels), self.data(fold)
        return ValidationSet(
            films.ordinals,
            data.studies[films.ordinals],
            data.patients[films.ordinals],
            films.labels,
            data.unit,
            self.spec.hospital.sweep.metric,
        )

    def label_counts(self, fold: int | None, labels: LabelSet) -> dict[str, int]:
        """How many scored units with a label a draw has, by role."""
        data, counts = self.data(fold), {}
        for role in ("train", "validate"):
            films = self.labelled(fold, role, labels).ordinals
            counts[role] = len(
                map_units(data.unit, films, data.studies[films], data.patients[films]).ordinals
            )
        return counts

    def image_encoder(self, encoder: Encoder, architecture: ImageEncoder) -> ImageEncoderModule:
        """A new encoder with the weights of a start or of a DAPT. Raises `WeightsError`, `MissingParent`."""
        weights = self.start_weights(encoder)
        module = build_image_encoder(architecture, self.seed)
        if weights.artifact is not None:
            tensors = weights.artifact.read_safetensors(IMAGE_ENCODER, "torch")
            load_weights(module, tensors, where=f"{weights.artifact.uri}/{IMAGE_ENCODER}")
        elif weights.folder_uri:
            load_image_encoder(module, weights.folder_uri, weights.folder_format)
        return module

    def start_weights(self, encoder: Encoder) -> StartWeights:
        """Where the weights of a start, or of a DAPT, lie; the encoders' own first ones for a random start."""
        if isinstance(encoder, DaptUnit):
            return StartWeights(artifact=self.finished(encoder))
        start = next(start for start in self.spec.starts if start.identity == encoder.weights)
        return weights_of_start(start, self._store)

    def features(self, unit: FeaturesUnit) -> Features:
        """Features that a unit has left, kept in memory for the units after it."""
        if unit.identity not in self._features:
            tensors = self.finished(unit).read_safetensors(FEATURES_FILE)
            self._features[unit.identity] = Features(tensors["ordinals"], tensors["features"])
            while len(self._features) > FEATURES_KEPT:
                self._features.popitem(last=False)
        self._features.move_to_end(unit.identity)
        return self._features[unit.identity]

    def finished(self, unit: WorkUnit) -> FinishedArtifact:
        """The finished object of a unit. Raises `MissingParent`."""
        return _required(self.object(unit))

    def object(self, unit: WorkUnit) -> Artifact:
        """The object of a unit, finished or not."""
        return self._store.object(unit.kind, unit.identity)

    def attempt(self, unit: WorkUnit) -> AttemptWriter:
        """Where this process writes the files of a unit."""
        return self.object(unit).attempt(self._attempt_id)

    @contextlib.contextmanager
    def timed(self, summary: dict[str, Any]) -> Iterator[None]:
        """Add `deviceSeconds` to a summary: how long the block kept this process and its device busy."""
        begun = time.monotonic()
        try:
            yield
        finally:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            summary["deviceSeconds"] = round(time.monotonic() - begun, 3)

    def commit(self, attempt: AttemptWriter, unit: WorkUnit, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Finish a unit's object. Returns the summary that counts: of whoever was first."""
        parents = {name: parent.identity for name, parent in unit.parents().items()}
        environment = {
            "device": self._device_name(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        }
        return dict(attempt.commit(summary, parents, environment).summary)

    def _device_name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"


def _required(artifact: Artifact) -> FinishedArtifact:
    done = artifact.finished()
    if done is None:
        raise MissingParent(
            f"{artifact.uri} is not finished, and this work reads it; run the job again to make it"
        )
    return done
