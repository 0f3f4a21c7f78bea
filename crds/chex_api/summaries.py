"""Summaries of finished stages: what the manifest of each kind of stage says in numbers and in few words.

Other stages, the operator, commands and the page read them.
"""

from pydantic import Field

from chex_api.base import Record


class PartCounts(Record):
    """One part of a split, or one fold."""

    films: int = Field(description="Films.")
    patients: int = Field(description="Patients.")


class IngestSummary(Record):
    """Counts of an ingest: never an id, a file name or a word of a report."""

    films: int = Field(description="Films that can be used.")
    patients: int = Field(description="Their patients.")
    studies: int = Field(description="Their studies.")
    with_report: int = Field(alias="with_report", description="Films with a report.")
    unit: str = Field(description="What is scored: Image, Study or Patient.")
    num_folds: int = Field(alias="num_folds", description="Folds; 0 without.")
    parts: dict[str, PartCounts] = Field(description="By part of the split, or by fold.")
    declared: int = Field(description="Films that the source declares.")
    quarantined: dict[str, int] = Field(description="Films set aside, by reason.")
    left_out: dict[str, int] = Field(
        alias="left_out", description="Rows that are no film of the data set, by reason."
    )
    stored_bytes: int = Field(alias="bytes", description="Size of all stored films.")
    source_digest: str = Field(default="", description="Digest of what the source declares.")

    @property
    def headline(self) -> str:
        """One line for people."""
        aside = sum(self.quarantined.values())
        return f"{self.films} films of {self.patients} patients" + (
            f", {aside} in quarantine" if aside else ""
        )


class TrainingSummary(Record):
    """How a pretraining went."""

    headline: str = Field(description="One line for people.")
    objective: str = Field(description="Wire name of the objective.")
    dataset: str = Field(description="Name of the data set.")
    training_films: int = Field(description="Films that were trained on.")
    steps: int = Field(description="Steps of the optimizer.")
    epochs: int = Field(description="Passes over the films, as asked for.")
    epoch_losses: tuple[float, ...] = Field(description="Mean loss of each epoch.")
    film_passes: int = Field(description="Forward-equivalents.")
    metrics: dict[str, float] = Field(description="Metrics of the last report.")
    workers: int = Field(description="Workers of the last attempt.")
    resumed_from_step: int | None = Field(
        description="Step from which the last attempt went on; null: from the start."
    )
    seconds_of_last_attempt: float = Field(description="How long the last attempt trained.")


class AdaptationSummary(Record):
    """What an adaptation has done."""

    headline: str = Field(description="One line for people.")
    arms: int = Field(description="Arms that have a model.")
    units: int = Field(description="Units of work that the arms read.")
    dapt_runs: int = Field(description="Runs of domain-adaptive pretraining.")
    final_fits: int = Field(description="Final fits.")
    trials: int = Field(description="Trials of all arms.")
    film_passes: int = Field(description="Forward-equivalents of all units.")
    device_seconds: float = Field(description="Seconds that the units kept a device busy.")
    wall_seconds: float | None = Field(
        description="The clock's seconds; null where some of the work was found finished."
    )
    notices: tuple[str, ...] = Field(default=(), description="Sentences for whoever reads the numbers.")


class EvaluationSummary(Record):
    """What an evaluation found, of the weights that are deployed. No small cell can be computed from it."""

    headline: str = Field(description="One line for people.")
    recommended: str = Field(description="Arm to deploy; empty: none.")
    enough: str = Field(description="Arm that would be enough next time; empty: none.")
    verdict: str = Field(description="What the test set shows, in one CamelCase word.")
    proven: bool = Field(description="Whether test patients show it.")
    auroc: float | None = Field(description="Mean AUROC over tasks.")
    auroc_tasks: tuple[str, ...] = Field(description="The tasks of this mean.")
    auroc_low: float | None = Field(description="Lower end of the interval, of one task.")
    auroc_high: float | None = Field(description="Upper end of the interval, of one task.")
    test_openings: int = Field(description="How often the test patients were opened so far.")


class ReportSummary(Record):
    """What a report holds; files are named by their paths in the artifact, so that a copy of it speaks of itself."""

    headline: str = Field(description="One line for people.")
    page: str = Field(description="Address of the page.")
    conclusions: dict[str, str] = Field(description="By hospital, the sentence of its recommendation.")
    models: dict[str, str] = Field(description="By hospital, the folder of its model.")
    generated_films: bool = Field(description="Whether any film was generated.")
