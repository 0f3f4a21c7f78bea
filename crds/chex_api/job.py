"""`ChexTrainingJob`: one manifest, archive in, for each hospital a model and the evidence for it out."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field

from chex_api import API_VERSION
from chex_api.base import ApiModel, Uri
from chex_api.dataset import Dataset
from chex_api.encoder import Encoders
from chex_api.hospital import Hospital
from chex_api.metadata import JobMeta
from chex_api.pretraining import PretrainingRun
from chex_api.run_policy import RunPolicy
from chex_api.status import JobStatus

_Named = TypeVar("_Named", Dataset, PretrainingRun, Hospital)


class RuntimeReference(ApiModel):
    """The runtime in a cluster; `chex run` does not need it."""

    kind: Literal["ClusterChexRuntime", "ChexRuntime"] = Field(
        default="ClusterChexRuntime", description="Kind of the runtime."
    )
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)] = (
        Field(description="Name of the runtime.")
    )


class Artifacts(ApiModel):
    """Where everything that a job makes is stored."""

    uri: Uri = Field(
        description="Folder of all artifacts, `s3://bucket/prefix`; `file:///folder` with `chex run` only, where `%20` stands for a space and `%25` for a percent sign. It cannot be changed."
    )


class JobSpec(ApiModel):
    """What to train, on what, for whom."""

    runtime_ref: RuntimeReference | None = Field(
        default=None, description="The runtime in a cluster; `chex run` does not need it."
    )
    seed: int = Field(default=0, ge=0, le=2_147_483_647, description="Every random choice follows from it.")
    artifacts: Artifacts = Field(description="Where everything is stored.")
    datasets: tuple[Dataset, ...] = Field(
        min_length=1, max_length=32, description="Films, reports and labels."
    )
    encoders: Encoders = Field(default=Encoders(), description="The image and the text tower.")
    pretraining: tuple[PretrainingRun, ...] = Field(
        default=(), max_length=32, description="Distributed runs, each complete in itself."
    )
    hospitals: tuple[Hospital, ...] = Field(
        default=(), max_length=64, description="Hospitals that want a model."
    )
    run_policy: RunPolicy = Field(default=RunPolicy(), description="How the operator runs the job.")

    def dataset(self, name: str) -> Dataset:
        """The data set of that name. Raises `KeyError`; a validated manifest names existing ones only."""
        return _named(self.datasets, name)

    def pretraining_run(self, name: str) -> PretrainingRun:
        """The pretraining run of that name. Raises `KeyError`."""
        return _named(self.pretraining, name)

    def hospital(self, name: str) -> Hospital:
        """The hospital of that name. Raises `KeyError`."""
        return _named(self.hospitals, name)


class ChexTrainingJob(ApiModel):
    """One training job of a radiology network."""

    api_version: Literal["chexdragon.dev/v1alpha1"] = Field(
        default=API_VERSION, description="chexdragon.dev/v1alpha1"
    )
    kind: Literal["ChexTrainingJob"] = Field(description="ChexTrainingJob")
    metadata: JobMeta = Field(description="Standard metadata.")
    spec: JobSpec = Field(description="What to train, on what, for whom.")
    status: JobStatus | None = Field(
        default=None, description="What the operator tells; not read from a manifest."
    )


def _named(items: tuple[_Named, ...], name: str) -> _Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)
