"""`spec.pretraining`: distributed runs on training films."""

from typing import Annotated, Literal

from pydantic import Field

from chex_api.base import (
    OUTSIDE_IDENTITY,
    ApiModel,
    Empty,
    Fraction,
    Name,
    OneOf,
    PositiveFraction,
    Sha256,
    Uri,
)
from chex_api.encoder import WeightsFormat
from chex_api.objective import Objective


class AdamW(ApiModel):
    """AdamW (arXiv 1711.05101). Norms, biases and other one-dimensional parameters are not decayed."""

    beta1: float = Field(default=0.9, ge=0.0, le=0.9999, description="Decay of the first moment.")
    beta2: float = Field(default=0.999, ge=0.0, le=0.99999, description="Decay of the second moment.")
    epsilon: float = Field(default=1e-8, ge=1e-12, le=0.1, description="Added to the denominator.")
    weight_decay: float = Field(default=0.01, ge=0.0, le=10.0, description="Decoupled weight decay.")


class Optimization(ApiModel):
    """How the weights move."""

    global_batch_size: int = Field(
        default=256,
        ge=2,
        le=1_048_576,
        description="Films in a step, over all workers: it does not change with their number. No more than there are training films.",
    )
    epochs: int = Field(default=20, ge=1, le=10_000, description="Passes over the training films.")
    learning_rate: float = Field(default=1e-4, ge=1e-9, le=10.0, description="Highest learning rate.")
    schedule: Literal["Cosine", "Linear", "Constant"] = Field(
        default="Cosine", description="Course of the learning rate after warm-up."
    )
    warmup_fraction: Fraction = Field(
        default=0.05, description="Share of the steps in which the learning rate rises from zero."
    )
    gradient_clipping: float = Field(
        default=1.0, ge=0.0, le=1e6, description="Largest global L2 norm of the gradient; 0: no clipping."
    )
    adam_w: AdamW = Field(default=AdamW(), description="The optimizer.")


class Augmentation(ApiModel):
    """How training films are varied. Everything is drawn from (seed, epoch, film, view) alone."""

    crop_min: PositiveFraction = Field(
        default=0.7, description="Smallest share of the film's area that a crop keeps."
    )
    rotation_degrees: float = Field(
        default=10.0, ge=0.0, le=180.0, description="Largest rotation either way."
    )
    translation: Fraction = Field(
        default=0.05, description="Largest shift either way, as a share of the side."
    )
    horizontal_flip: Fraction = Field(
        default=0.0, description="Probability of a mirror image. Off: it would move the heart to the right."
    )
    brightness: Fraction = Field(
        default=0.1, description="Largest shift of grey values either way, as a share of the range."
    )
    contrast: Fraction = Field(default=0.2, description="Largest relative change of contrast either way.")
    gamma: Fraction = Field(default=0.2, description="Largest relative change of the grey curve either way.")
    blur: Fraction = Field(default=0.0, description="Probability of a slight Gaussian blur.")
    noise: Fraction = Field(
        default=0.0, description="Largest standard deviation of added noise, as a share of the range."
    )


class BatchNorm(ApiModel):
    """Normalisation in groups of films, so that the number of workers does not change the numbers."""

    group_size: int = Field(
        default=32,
        ge=2,
        le=65536,
        description="Films that are normalised together; the global batch is a multiple of it.",
    )


class Checkpoint(ApiModel):
    """When the state of a run is stored."""

    every_minutes: float = Field(
        default=15.0,
        ge=0.0,
        le=1440.0,
        description="Minutes between checkpoints; the end of a run is always stored. 0: after every epoch only.",
    )


class DeepSpeed(ApiModel):
    """How model states are divided among the workers."""

    zero_stage: int = Field(
        default=0,
        ge=0,
        le=3,
        description="ZeRO stage (arXiv 1910.02054). 0 unless model states exceed half of the device's memory: 1-3 cost speed.",
    )


class Workers(ApiModel):
    """The machines of a run. They change its speed, not its result."""

    pool: Name = Field(default="gpu", description="Pool of the runtime that the workers come from.")
    count: int = Field(default=1, ge=1, le=4096, description="Number of workers wanted.")
    min_available: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Smallest number to go on with; absent: `count`. The largest number from here up that divides the global batch into whole BatchNorm groups is used.",
    )


class ExternalWeights(ApiModel):
    """An image encoder that was trained elsewhere."""

    uri: Annotated[Uri, OUTSIDE_IDENTITY] = Field(description="Folder that holds the weights as safetensors.")
    format: WeightsFormat = Field(default="ChexDragon", description="Whose names the tensors bear.")
    trained_on: Annotated[tuple[Name, ...], OUTSIDE_IDENTITY] = Field(
        default=(),
        max_length=32,
        description="Data sets of this manifest whose films the weights have seen: none of their films and patients, of whatever part, may be validated or tested on. Films that are no data set here can be listed by content in `trained-on.txt` in the folder (lines of `sha256sum`). With neither, the report says that it is unknown.",
    )


class ManifestReference(ApiModel):
    """A finished stage of another job, shared explicitly and pinned by its manifest's checksum."""

    uri: Annotated[Uri, OUTSIDE_IDENTITY] = Field(
        description="The stage's folder, which holds manifest.json."
    )
    sha256: Sha256 = Field(description="SHA-256 of manifest.json.")


class StartFrom(OneOf):
    """Weights to start from. Exactly one member."""

    stage: Name | None = Field(
        default=None, description="A pretraining run of this manifest; of an earlier one only."
    )
    random: Empty | None = Field(
        default=None, description="The encoder's own first weights (`encoders.image.init`)."
    )
    weights: ExternalWeights | None = Field(default=None, description="Weights from elsewhere.")
    manifest: ManifestReference | None = Field(default=None, description="A finished stage of another job.")

    def label(self) -> str:
        """How people name this start: the stage's name, or the kind of start."""
        name, _ = self.member()
        return self.stage if self.stage is not None else name


class PretrainingRun(ApiModel):
    """One distributed run on the training films of a data set, complete in itself."""

    name: Annotated[Name, OUTSIDE_IDENTITY] = Field(description="Name of the run, unique in the manifest.")
    dataset: Annotated[Name, OUTSIDE_IDENTITY] = Field(description="Data set whose training films are used.")
    start_from: Annotated[StartFrom, OUTSIDE_IDENTITY] = Field(
        default=StartFrom(random=Empty()), description="Weights to start from."
    )
    objective: Objective = Field(description="What is learned.")
    optimization: Optimization = Field(default=Optimization(), description="How the weights move.")
    augmentation: Augmentation = Field(default=Augmentation(), description="How training films are varied.")
    batch_norm: BatchNorm = Field(default=BatchNorm(), description="How batches are normalised.")
    checkpoint: Annotated[Checkpoint, OUTSIDE_IDENTITY] = Field(
        default=Checkpoint(), description="When the state of a run is stored."
    )
    precision: Literal["Float32", "BFloat16"] = Field(
        default="BFloat16",
        description="Precision of the forward and backward pass; weights are always Float32.",
    )
    deep_speed: Annotated[DeepSpeed, OUTSIDE_IDENTITY] = Field(
        default=DeepSpeed(), description="How model states are divided."
    )
    workers: Annotated[Workers, OUTSIDE_IDENTITY] = Field(
        default=Workers(), description="The machines of a run."
    )
