"""The contract between an executor and a stage: what an entry point is given, tells on the way, and leaves.

The same JSON is mounted from a ConfigMap in a cluster and handed over in memory by `chex run`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from chex_api.base import LONGEST_URI, ApiModel, OneOf, Uri
from chex_api.dataset import Dataset
from chex_api.encoder import Encoders
from chex_api.hospital import Hospital
from chex_api.pretraining import PretrainingRun

StageKind = Literal["ingest", "pretrain", "adapt", "evaluate", "report"]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StageReference(ApiModel):
    """A finished stage that this one reads."""

    kind: StageKind = Field(description="Kind of the stage.")
    name: str = Field(description="Name of the stage.")
    identity: Identity = Field(description="Identity of the stage.")
    uri: str = Field(default="", description="Folder of a stage of another job; empty: a stage of this job.")
    manifest_sha256: str = Field(default="", description="Checksum that the other job's manifest must have.")
    patient_domain: str = Field(
        default="", description="Of an ingest: the domain in which its patient ids are unique."
    )

    @property
    def label(self) -> str:
        """How people, manifests and status name it: `<kind>/<name>`."""
        return f"{self.kind}/{self.name}"


class WeightsFromElsewhere(ApiModel):
    """Weights that this job did not train, among the forebears of a start."""

    uri: str = Field(description="Folder of the weights, or of the other job's stage.")
    manifest_sha256: str = Field(
        default="", description="Checksum of the stage's manifest; empty: a folder of weights."
    )
    declared: bool = Field(
        default=False, description="Whether the manifest names data sets that they were trained on."
    )


class Exposure(ApiModel):
    """What the weights of a start have seen of films, over all their forebears."""

    start: str = Field(description="The start's label.")
    training: tuple[StageReference, ...] = Field(
        default=(), description="Ingested data sets whose training films this job's pretraining saw."
    )
    whole: tuple[StageReference, ...] = Field(
        default=(), description="Ingested data sets of which all films count as seen: `weights.trainedOn`."
    )
    elsewhere: tuple[WeightsFromElsewhere, ...] = Field(
        default=(), description="Weights that this job did not train."
    )


class LabelReference(ApiModel):
    """The answers to one task, an object of their own beside the films."""

    task: str = Field(description="Name of the task in its data set.")
    identity: Identity = Field(description="Identity of the labels.")


class DatasetReference(ApiModel):
    """A data set as a stage reads it: the ingested films, and the labels of those tasks that the stage asks for."""

    films: StageReference = Field(description="The ingested films.")
    declared: Dataset = Field(description="The data set, for labels that nobody has read from its table yet.")
    labels: tuple[LabelReference, ...] = Field(default=(), description="The labels that the stage reads.")


class Start(ApiModel):
    """One start of an adaptation: a label for people and where the image encoder's weights come from."""

    label: str = Field(description="How people name this start, unique in the hospital.")
    stage: StageReference | None = Field(default=None, description="A finished pretraining.")
    weights_uri: str = Field(
        default="",
        description="A folder of weights from elsewhere; with neither: the encoder's own first weights.",
    )
    weights_format: str = Field(default="ChexDragon", description="Whose names the tensors bear.")
    identity: Identity = Field(description="What identifies the weights.")


class IngestSpec(ApiModel):
    """Decode a data set's films once."""

    dataset: Dataset = Field(description="The data set.")
    labels: tuple[LabelReference, ...] = Field(
        default=(), description="Labels that later stages ask for; they are read while the table is open."
    )
    outcomes: tuple[str, ...] = Field(
        default=(),
        description="Tasks whose outcomes every fold is to have, where the split is groupedFolds: those of its hospitals.",
    )
    digest: str = Field(
        default="", description="Digest of what the source declares of its films; empty for generated ones."
    )


class PretrainSpec(ApiModel):
    """One pretraining run."""

    run: PretrainingRun = Field(description="The run.")
    encoders: Encoders = Field(description="The towers.")
    dataset: DatasetReference = Field(description="The data set.")
    tasks: tuple[str, ...] = Field(default=(), description="Tasks that a supervised run learns.")
    start: Start = Field(description="The weights to start from.")
    exposure: Exposure = Field(description="What these weights have seen before the run.")


class AdaptSpec(ApiModel):
    """Everything about a hospital's models that training and validation patients decide."""

    hospital: Hospital = Field(description="The hospital.")
    encoders: Encoders = Field(description="The towers.")
    dataset: DatasetReference = Field(description="The data set.")
    starts: tuple[Start, ...] = Field(description="The starts, in the manifest's order.")
    text_digest: str = Field(
        default="", description="Digest of the text tower's first weights; empty: random ones."
    )
    exposures: tuple[Exposure, ...] = Field(
        default=(),
        description="What the starts have seen: no validation or test film of the hospital may be among it.",
    )


class OtherTestSet(ApiModel):
    """The test patients of another hospital."""

    hospital: str = Field(description="The other hospital.")
    dataset: DatasetReference = Field(description="Its data set.")


class EvaluateSpec(ApiModel):
    """Open the test patients of a hospital, once, for the models that its adaptation chose."""

    hospital: Hospital = Field(description="The hospital.")
    encoders: Encoders = Field(description="The towers.")
    dataset: DatasetReference = Field(description="The data set.")
    split: str = Field(description="How its patients are divided: official, patients or groupedFolds.")
    adapt: StageReference = Field(description="The finished adaptation.")
    also_on: tuple[OtherTestSet, ...] = Field(default=(), description="Other hospitals' test patients.")
    exposures: tuple[Exposure, ...] = Field(
        default=(), description="What the starts have seen: no test film may be among it."
    )


class ReportSpec(ApiModel):
    """Tell people what came out."""

    job_name: str = Field(description="Name of the job.")
    manifest: dict[str, Any] = Field(description="The manifest, defaults written out.")
    stages: tuple[StageReference, ...] = Field(description="Every other stage of the plan.")


class StageWork(OneOf):
    """What a stage does. Exactly one member."""

    ingest: IngestSpec | None = Field(default=None, description="Decode films.")
    pretrain: PretrainSpec | None = Field(default=None, description="Pretrain encoders.")
    adapt: AdaptSpec | None = Field(default=None, description="Adapt to a hospital.")
    evaluate: EvaluateSpec | None = Field(default=None, description="Evaluate on test patients.")
    report: ReportSpec | None = Field(default=None, description="Write the report.")


class StageSpec(ApiModel):
    """What the entry point of a stage is given."""

    kind: StageKind = Field(description="Kind of the stage.")
    name: str = Field(description="Name of the stage.")
    identity: Identity = Field(description="Identity of the stage.")
    seed: int = Field(description="The job's seed.")
    artifacts_uri: Uri = Field(description="Folder of all artifacts.")
    parents: tuple[StageReference, ...] = Field(
        default=(), description="Stages that must be finished before this one."
    )
    identified: dict[str, Any] = Field(
        default={},
        description="What the identity is the digest of; a finished stage keeps it to be compared with.",
    )
    work: StageWork = Field(description="What the stage does.")

    @property
    def label(self) -> str:
        """How people, manifests and status name it: `<kind>/<name>`."""
        return f"{self.kind}/{self.name}"

    @property
    def parent_identities(self) -> dict[str, str]:
        """Identity of each parent, by label, as a manifest records it."""
        return {parent.label: parent.identity for parent in self.parents}


class StageProgress(ApiModel):
    """What a running stage tells, at most once in some seconds and in at most 16 KiB."""

    done: float = Field(ge=0.0, le=1e15, description="Units of work done.")
    total: float = Field(ge=0.0, le=1e15, description="Units of work in all; 0: not known yet.")
    committed: float = Field(
        default=0.0, ge=0.0, le=1e15, description="Units of work that the next attempt need not repeat."
    )
    unit: str = Field(default="", description="What is counted: films, steps, trials.")
    message: str = Field(default="", max_length=512, description="What happens now, in words.")
    metrics: dict[str, float] = Field(
        default={},
        max_length=32,
        description="Loss, films per second, share of time that waits for data, and the like.",
    )
    eta_seconds: float | None = Field(default=None, ge=0.0, description="Time left; absent while unsure.")


class StageResult(ApiModel):
    """What a finished stage leaves."""

    manifest_uri: str = Field(max_length=LONGEST_URI, description="The stage's manifest.")
    manifest_sha256: str = Field(max_length=64, description="Its checksum.")
    summary: dict[str, Any] = Field(default={}, description="The manifest's summary.")
