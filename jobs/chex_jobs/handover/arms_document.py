"""`arms.json`: what the sweep of a hospital chose, from which the evaluation reads what to open test data for."""

from pydantic import Field

from chex_api.base import Record
from chex_api.sweep import Metric

SCHEMA = "chexdragon.dev/arms/v1"


class TrialScore(Record):
    """What one trial was worth on validation patients."""

    value: float | None = Field(description="The sweep's metric; null where it is undefined.")
    loss: float | None = Field(description="Masked cross-entropy; null where no label is known.")


class FitScore(TrialScore):
    """What a final fit was worth on validation patients, by task in the order of `tasks`."""

    auroc: tuple[float | None, ...] = Field(default=(), alias="AUROC", description="Null where undefined.")
    auprc: tuple[float | None, ...] = Field(default=(), alias="AUPRC", description="Null where undefined.")
    positives: tuple[int, ...] = Field(default=(), description="Positive units.")
    negatives: tuple[int, ...] = Field(default=(), description="Negative units.")

    def by_task(self, metric: Metric) -> tuple[float | None, ...]:
        """One of the two metrics."""
        return self.auroc if metric == "AUROC" else self.auprc


class FinalFit(Record):
    """One final fit; the seeds of a probe share their object."""

    draw: int = Field(description="Sample of the labels.")
    seed: int = Field(description="Index of the final seed.")
    identity: str = Field(description="Identity of the object that holds the model.")
    score: FitScore = Field(description="On validation patients.")


class DrawnLabels(Record):
    """How many scored units with a label a draw has."""

    draw: int = Field(description="Sample of the labels.")
    train: int = Field(description="Training units.")
    validate_: int = Field(alias="validate", description="Validation units.")


class NamedArm(Record):
    """What names an arm."""

    start: str = Field(description="Label of the start.")
    strategy: str = Field(description="Name of the strategy.")
    label_fraction: float = Field(description="Share of the labelled patients.")

    @property
    def label(self) -> str:
        """`start/strategy@fraction`."""
        return f"{self.start}/{self.strategy}@{self.label_fraction:g}"


class ArmEntry(NamedArm):
    """One arm in one fold.

    `film_passes` are forward-equivalents over what it takes to get the arm once: everything but the fits of further draws,
    shared units included. They are the same on every run; `device_seconds` of the same units were measured.
    """

    transfer: str = Field(description="LinearProbe, FineTune or LPFT.")
    dapt_objective: str = Field(description="Wire name of DAPT's objective; empty: no DAPT.")
    fold: int | None = Field(description="Null unless the data set has grouped folds.")
    configuration: dict[str, float] = Field(description="The winning parameters.")
    epochs: int = Field(description="Epochs of the winner up to its best; 0 for a probe.")
    trials: tuple[TrialScore, ...] = Field(description="Scores of all trials.")
    labelled_patients: int = Field(
        description="Whose labels the arm reads in its first draw, over all folds."
    )
    film_passes: int = Field(description="Forward-equivalents.")
    device_seconds: float = Field(description="Seconds that its units kept a device busy.")
    labels: tuple[DrawnLabels, ...] = Field(description="Labels by draw.")
    finals: tuple[FinalFit, ...] = Field(description="One for each draw and seed.")
    notices: tuple[str, ...] = Field(
        default=(), description="Sentences on how the arm was found that a reader of its numbers should know."
    )


class FailedArm(NamedArm):
    """An arm without a model, and why."""

    reason: str = Field(description="With folds of the first one that failed: an arm needs all of them.")


class ArmsDocument(Record):
    """The whole file."""

    format: str = Field(default=SCHEMA, alias="schema", description="A reader refuses any other.")
    tasks: tuple[str, ...] = Field(description="In the order of logits in every model.")
    unlearnable: dict[str, str] = Field(
        description="Tasks that no arm was trained for, each with the reason."
    )
    unit: str = Field(description="What is scored: Image, Study or Patient.")
    metric: Metric = Field(description="What validation compares.")
    arms: tuple[ArmEntry, ...] = Field(description="One entry for each arm and fold.")
    failed: tuple[FailedArm, ...] = Field(default=(), description="Arms without a model.")
    notices: tuple[str, ...] = Field(
        default=(), description="Sentences on these and on the others, for whoever reads the numbers."
    )
