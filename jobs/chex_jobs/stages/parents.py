"""The data sets that a stage reads, with the labels that it asks for."""

from chex_api.stage import DatasetReference
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import ensure_labels, finished_labels
from chex_jobs.data.errors import DataError
from chex_jobs.handover.context import StageContext
from chex_jobs.handover.parents import finished_parent
from chex_jobs.stages.errors import StageFailed


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
        raise StageFailed(label, f"data set {reference.films.name!r}: {error}", user_error=True) from error


def opened_dataset(reference: DatasetReference, context: StageContext) -> ChestXrayDataset:
    """The films of a data set with the labels asked for. Raises `MissingParent`, `ArtifactError`."""
    films = finished_parent(context.store, reference.films)
    return ChestXrayDataset.open(films, finished_labels(context.store, reference.labels))
