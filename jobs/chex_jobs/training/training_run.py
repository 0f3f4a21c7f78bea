"""What a training run is, before it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from chex_api.encoder import Encoders
from chex_api.objective import AnyObjective
from chex_api.pretraining import Augmentation, Optimization
from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.training.checkpoint_policy import CheckpointPolicy
from chex_jobs.training.start_weights import StartWeights


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Films that may be trained on.

    Attributes:
        dataset: a finished `ingest` stage.
        ordinals: int64 [N], the films; labels and reports of no others are read.
        tasks: whose labels a supervised objective learns, in this order.
        labels: the labels of these tasks, finished objects of their own beside the films.
    """

    dataset: FinishedArtifact
    ordinals: npt.NDArray[np.int64]
    tasks: tuple[str, ...] = ()
    labels: Mapping[str, FinishedArtifact] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """One training, complete in itself. Pickles; every worker gets the same.

    Attributes:
        objective: what is learned.
        encoders: the towers; `encoders.image.size` is the side of a view in pixels.
        optimization: global batch, epochs, learning rate and its course, clipping, AdamW.
        seed: of first weights, order of films, augmentation, sentences and dropout.
        batch_norm_group_size: films normalised together, as wanted (`objectives.batch_norm_group_size` may lower it).
        freeze_batch_norm: keep BatchNorm in evaluation mode.
        precision: BFloat16 is autocast; weights and their gradients are Float32 either way.
        repeats_films: films may stand in a batch twice where there are too few to fill it.
        zero_stage: ZeRO stage, 0 to 3. Changes memory and speed, not numbers.
    """

    objective: AnyObjective
    encoders: Encoders
    optimization: Optimization
    data: TrainingData
    seed: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    batch_norm_group_size: int = 32
    freeze_batch_norm: bool = False
    precision: Literal["Float32", "BFloat16"] = "BFloat16"
    zero_stage: int = 0
    repeats_films: bool = False
    start: StartWeights = field(default_factory=StartWeights)
    checkpoint: CheckpointPolicy = field(default_factory=CheckpointPolicy)
