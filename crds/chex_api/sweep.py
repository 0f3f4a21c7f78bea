"""`hospitals[].sweep`: how the hyperparameters of every arm are chosen, with the same effort for each."""

from typing import Annotated, Literal

from pydantic import Field

from chex_api.base import OUTSIDE_IDENTITY, ApiModel, Empty, OneOf

Metric = Literal["AUROC", "AUPRC"]
SweepParameter = Literal["learningRate", "weightDecay", "warmupFraction", "headLearningRateFactor"]


class LogUniform(ApiModel):
    """A number drawn evenly on a logarithmic scale."""

    min: float = Field(ge=1e-12, le=1e6, description="Smallest value.")
    max: float = Field(ge=1e-12, le=1e6, description="Largest value.")


class Uniform(ApiModel):
    """A number drawn evenly."""

    min: float = Field(ge=-1e6, le=1e6, description="Smallest value.")
    max: float = Field(ge=-1e6, le=1e6, description="Largest value.")


class SpaceEntry(ApiModel):
    """The values that one parameter may take: exactly one of `logUniform`, `uniform` and `numbers`."""

    parameter: SweepParameter = Field(description="The parameter.")
    log_uniform: LogUniform | None = Field(
        default=None, description="A number drawn evenly on a logarithmic scale."
    )
    uniform: Uniform | None = Field(default=None, description="A number drawn evenly.")
    numbers: tuple[Annotated[float, Field(ge=-1e6, le=1e6)], ...] | None = Field(
        default=None, min_length=1, max_length=64, description="One of these numbers."
    )


class Tpe(ApiModel):
    """Tree-structured Parzen estimator (Bergstra et al., 2011), asked in batches of fixed size."""

    startup_trials: int = Field(
        default=4, ge=1, le=1000, description="Random trials before the estimator is asked."
    )


class Search(OneOf):
    """How configurations are proposed. Exactly one member."""

    random: Empty | None = Field(default=None, description="Independent draws.")
    tpe: Tpe | None = Field(default=None, description="Tree-structured Parzen estimator.")


class SuccessiveHalving(ApiModel):
    """Synchronous successive halving (Jamieson and Talwalkar, 2016): the better part of the trials goes on."""

    reduction: int = Field(
        default=3, ge=2, le=10, description="One in so many trials goes on to the next rung."
    )
    min_epochs: int = Field(default=1, ge=1, le=1000, description="Epochs of the first rung.")


class Scheduler(OneOf):
    """How early a poor trial ends. Exactly one member."""

    successive_halving: SuccessiveHalving | None = Field(
        default=None, description="Only the better part goes on."
    )
    none: Empty | None = Field(default=None, description="Every trial runs to its end.")


class Sweep(ApiModel):
    """The search inside each arm.

    An arm is one start, one strategy and one label fraction of the hospital. Every arm gets the same number of trials, so
    none wins by effort. A trial is fitted to training patients and judged by `metric` on validation patients; test patients
    are seen by no trial. The winner of an arm is fitted again on `draws` samples of the labels with `finalSeeds` seeds each,
    so that the report can tell luck from merit: with all labels, there is one sample.

    What it costs: each arm that fine-tunes has `trialsPerArm` trials, most of which `scheduler` ends early, and up to
    `draws` x `finalSeeds` whole fits after them. A linear probe fits no encoder: its trials are values of C.

    For example:

      sweep:
        trialsPerArm: 12
        space:
          - {parameter: learningRate, logUniform: {min: 1.0e-5, max: 1.0e-3}}
          - {parameter: weightDecay, numbers: [0, 0.01, 0.1]}
    """

    trials_per_arm: int = Field(
        default=16, ge=1, le=512, description="Trials of each arm; of a linear probe, its values of C."
    )
    draws: int = Field(
        default=3,
        ge=1,
        le=20,
        description="Samples of the labels at each fraction below 1; trials use the first, the winner is refitted on all.",
    )
    final_seeds: int = Field(
        default=3, ge=1, le=20, description="Refits of the winner with other seeds, on each draw."
    )
    concurrency: Annotated[int, Field(ge=1, le=1024), OUTSIDE_IDENTITY] = Field(
        default=4, description="Trials that run at the same time; no result depends on it."
    )
    metric: Metric = Field(default="AUROC", description="What is compared on validation patients.")
    search: Search = Field(default=Search(tpe=Tpe()), description="How configurations are proposed.")
    scheduler: Scheduler = Field(
        default=Scheduler(successive_halving=SuccessiveHalving()), description="How early a poor trial ends."
    )
    space: tuple[SpaceEntry, ...] = Field(
        default=(SpaceEntry(parameter="learningRate", log_uniform=LogUniform(min=1e-5, max=3e-3)),),
        max_length=8,
        description="Parameters to search; those not named keep the strategy's own values, and no number lies outside the bounds of the strategy's field. Default: learningRate on a logarithmic scale from 1e-5 to 3e-3. A best value at the edge of its range is told.",
    )
