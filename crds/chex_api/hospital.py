"""`spec.hospitals`: what each hospital wants answered, from which starts and by which strategies."""

from typing import Annotated, Literal

from pydantic import Field

from chex_api.base import OUTSIDE_IDENTITY, ApiModel, Name, PositiveFraction
from chex_api.objective import DaptObjective
from chex_api.pretraining import Augmentation, BatchNorm, StartFrom, Workers
from chex_api.sweep import Sweep


class Dapt(ApiModel):
    """Domain-adaptive pretraining: pretraining goes on with the hospital's own training films, without labels."""

    objective: DaptObjective = Field(
        description="What domain-adaptive pretraining learns. MoCo's queue is shortened to half of the hospital's training films."
    )
    epochs: int = Field(default=10, ge=1, le=1000, description="Passes over the hospital's training films.")
    configurations: int = Field(
        default=3,
        ge=1,
        le=32,
        description="Learning rates that are tried; each arm takes the one whose probe is best on its own validation labels. One whose loss becomes infinite is left out; an arm of which none is left fails, and says so.",
    )
    learning_rate: float = Field(
        default=1e-4, ge=1e-9, le=10.0, description="Middle of the learning rates that are tried."
    )
    global_batch_size: int = Field(default=32, ge=2, le=65536, description="Films in a step.")


class FineTuning(ApiModel):
    """What fine-tuning keeps fixed; a parameter named in the sweep's space is searched instead."""

    epochs: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Passes over the labelled films; the best epoch on validation is kept.",
    )
    min_steps: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="Least number of steps of a whole training: with few labels an epoch is as many passes over the films as that takes.",
    )
    batch_size: int = Field(
        default=32,
        ge=2,
        le=65536,
        description="Films in a step; with fewer labelled films than that, a step sees some of them twice.",
    )
    learning_rate: float = Field(default=1e-4, ge=1e-9, le=10.0, description="Highest learning rate.")
    weight_decay: float = Field(default=0.01, ge=0.0, le=10.0, description="Decoupled weight decay.")
    warmup_fraction: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="Share of the steps in which the learning rate rises from zero.",
    )
    head_learning_rate_factor: float = Field(
        default=1.0,
        ge=0.001,
        le=1000.0,
        description="Learning rate of the head relative to the encoder's, whose rate is `learningRate`.",
    )
    freeze_batch_norm: bool = Field(
        default=False,
        description="Whether BatchNorm keeps its pretrained statistics. `LPFT` often gains by it.",
    )


Transfer = Literal["LinearProbe", "FineTune", "LPFT"]
"""Ways from an encoder to a classifier; `chex_jobs.sweep.arms.TRANSFERS` holds the program of each."""


class Strategy(ApiModel):
    """One way from pretrained weights to a classifier."""

    name: Name = Field(description="Name of the strategy, unique in the hospital.")
    transfer: Transfer = Field(
        description="LinearProbe: logistic regression on frozen features. FineTune: everything is trained. LPFT: the probe first, then everything from it (arXiv 2202.10054).",
    )
    dapt: Dapt | None = Field(
        default=None, description="Domain-adaptive pretraining before the transfer; absent: none."
    )
    fine_tuning: FineTuning = Field(default=FineTuning(), description="Settings of FineTune and LPFT.")

    @property
    def reads_reports(self) -> bool:
        """Whether domain-adaptive pretraining learns from reports."""
        return self.dapt is not None and self.dapt.objective.settings.READS_REPORTS


class Evaluation(ApiModel):
    """How test results are judged."""

    margin: float = Field(
        default=0.02,
        ge=0.0,
        le=0.5,
        description="AUROC that a cheaper arm may lose and still be enough.",
    )
    confidence: float = Field(
        default=0.95, ge=0.5, le=0.999, description="Confidence of intervals and bounds."
    )
    deploy: Literal["Ensemble", "BestFit"] = Field(
        default="Ensemble",
        description="What is deployed of the arm that validation chose: Ensemble, the mean of its final seeds, which are trained anyway; BestFit, the one that was best on validation, where one model has to be enough. With grouped folds either comes from every fold. It is tested as it is deployed.",
    )
    also_on: tuple[Name, ...] = Field(
        default=(),
        max_length=64,
        description="Other hospitals whose test films are scored too: shift without adaptation.",
    )


class Hospital(ApiModel):
    """A hospital that wants a model.

    Every start is combined with every strategy and every label fraction; each combination is an arm. Arms are chosen on
    validation patients with equal effort, judged once on test patients, and compared with intervals that respect patients.
    The arm that validation chose is deployed; the report says which cheaper one is shown to lose less than `evaluation.margin`
    against it, and would be enough next time, or that the data do not allow to say so.
    """

    name: Annotated[Name, OUTSIDE_IDENTITY] = Field(
        description="Name of the hospital, unique in the manifest."
    )
    dataset: Annotated[Name, OUTSIDE_IDENTITY] = Field(description="Its data set.")
    tasks: tuple[Name, ...] = Field(
        min_length=1, max_length=32, description="Tasks of the data set to answer."
    )
    start_from: Annotated[tuple[StartFrom, ...], OUTSIDE_IDENTITY] = Field(
        min_length=1, max_length=16, description="Weights to compare as starts."
    )
    strategies: tuple[Strategy, ...] = Field(min_length=1, max_length=16, description="Ways to compare.")
    label_fractions: tuple[PositiveFraction, ...] = Field(
        default=(1.0,),
        min_length=1,
        max_length=8,
        description="Shares of the labelled patients to learn from, for the cost of labels.",
    )
    sweep: Sweep = Field(default=Sweep(), description="The search inside each arm.")
    evaluation: Annotated[Evaluation, OUTSIDE_IDENTITY] = Field(
        default=Evaluation(),
        description="How test results are judged; part of the evaluation's identity, not of the adaptation's.",
    )
    augmentation: Augmentation = Field(default=Augmentation(), description="How training films are varied.")
    batch_norm: BatchNorm = Field(
        default=BatchNorm(),
        description="How batches are normalised; groups larger than a batch shrink to it.",
    )
    precision: Literal["Float32", "BFloat16"] = Field(
        default="BFloat16", description="Precision of the forward and backward pass."
    )
    workers: Annotated[Workers, OUTSIDE_IDENTITY] = Field(
        default=Workers(), description="The machines of an adaptation; a trial runs on one of them."
    )
