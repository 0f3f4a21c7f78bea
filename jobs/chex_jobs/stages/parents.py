"""The finished stages that a stage reads."""

from chex_api.stage import DatasetReference, StageReference
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import ensure_labels, finished_labels
from chex_jobs.data.errors import DataError
from chex_jobs.stages.context import StageContext
from chex_jobs.stages.errors import StageFailed


def finished_parent(store: ArtifactStore, reference: StageReference) -> FinishedArtifact:
    """A parent's finished artifact, of this job or, pinned by its manifest's checksum, of another one.

    Raises `StageFailed` if a stage of this job is not finished, `ArtifactError` for what cannot be read.
    """
    if reference.uri:
        return FinishedArtifact.open(f"{reference.uri.rstrip('/')}/manifest.json", reference.manifest_sha256)
    done = store.stage(reference.kind, reference.name, reference.identity).finished()
    if done is None:
        label = f"{reference.kind}/{reference.name}"
        raise StageFailed(
            label, "is not finished, and another stage needs it; run the job again", by_input=False
        )
    return done


def have_labels(reference: DatasetReference, context: StageContext, label: str) -> None:
    """Have the labels that a stage reads, from the data set's table where nobody has read them yet.

    Args:
        reference: the data set and the labels asked for.
        context: of the stage.
        label: `<kind>/<name>` of the stage, for messages.

    Raises:
        StageFailed: the table is not as preflight saw it.
        ArtifactError: storage fails.
    """
    try:
        ensure_labels(context.store, reference, context.attempt_id)
    except DataError as error:
        raise StageFailed(label, f"data set {reference.films.name!r}: {error}", by_input=True) from error


def opened_dataset(reference: DatasetReference, context: StageContext) -> ChestXrayDataset:
    """The films of a data set with the labels asked for. Raises `StageFailed`, `ArtifactError`."""
    films = finished_parent(context.store, reference.films)
    return ChestXrayDataset.open(films, finished_labels(context.store, reference.labels))
