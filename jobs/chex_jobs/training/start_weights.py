"""Where first weights lie that take the place of the encoders' own."""

from dataclasses import dataclass
from typing import cast

from chex_api.encoder import WeightsFormat
from chex_api.stage import Start
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.handover.parents import finished_parent


@dataclass(frozen=True)
class StartWeights:
    """Weights that take the place of the encoders' own first ones. With neither, nothing is replaced.

    Attributes:
        artifact: a finished pretraining; its text encoder is taken too, where both it and the objective have one.
        folder_uri: a folder with an image encoder from elsewhere, in `folder_format` (None: what the folder holds).
    """

    artifact: FinishedArtifact | None = None
    folder_uri: str = ""
    folder_format: WeightsFormat | None = None


def weights_of_start(start: Start, store: ArtifactStore) -> StartWeights:
    """Where the weights of a start lie; the encoders' own first ones for a random start. Raises `MissingParent`, `ArtifactError`."""
    if start.stage is not None:
        return StartWeights(artifact=finished_parent(store, start.stage))
    if start.weights_uri:
        return StartWeights(
            folder_uri=start.weights_uri, folder_format=cast(WeightsFormat, start.weights_format)
        )
    return StartWeights()
