"""Labels as objects of their own beside the films: `objects/labels-<identity12>/`, one for each task.

They are numbered by the rows that the source declares, which are the same for every ingest of the same films. Ingest writes
those that later stages ask for while it has the table open; a task that is added afterwards is read from the table by the
stage that asks for it first. Films, DAPT and whoever asks other tasks are not touched.
"""

import io
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from chex_api.plan import labels_identity
from chex_api.stage import DatasetReference, LabelReference
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.artifacts.errors import ObjectNotFound
from chex_jobs.data.dataset.summary import label_counts
from chex_jobs.data.errors import SourceError
from chex_jobs.data.sources.contents import labels_digest
from chex_jobs.data.sources.declaration import Declaration, declare

KIND = "labels"
VALUES = "labels.npy"
"""float32 [rows declared]: 1 yes, 0 no, NaN not known."""


def write_labels(
    store: ArtifactStore,
    labels: Iterable[LabelReference],
    declaration: Declaration,
    attempt_id: str,
    *,
    generated: bool,
) -> None:
    """Store the labels that are not there yet.

    Args:
        store: the job's artifacts.
        labels: what later stages ask for; their tasks are among the declaration's.
        declaration: of the whole data set.
        attempt_id: who writes.
        generated: whether the films are made; the identity of such labels is not that of their content.

    Raises:
        SourceError: the table answers otherwise than it did when the identities were made.
    """
    for label in labels:
        artifact = store.object(KIND, label.identity)
        if artifact.finished() is not None:
            continue
        values = declaration.labels[label.task]
        told = labels_identity(labels_digest(declaration.table.films, values))
        if not generated and told != label.identity:
            raise SourceError(
                f"task {label.task!r}: its column has changed since this job's preflight looked at it; run the job again, in a "
                "cluster with `kubectl chex resume`: a preflight then looks again"
            )
        attempt = artifact.attempt(attempt_id)
        attempt.write_bytes(VALUES, _encoded(values))
        attempt.commit(summary=label_counts(values))


def ensure_labels(store: ArtifactStore, dataset: DatasetReference, attempt_id: str) -> None:
    """Have every label that a stage reads; the table is opened only where one is missing. Raises as `write_labels`."""
    missing = [label for label in dataset.labels if store.object(KIND, label.identity).finished() is None]
    if not missing:
        return
    asked = {label.task for label in missing}
    tasks = tuple(task for task in dataset.declared.tasks if task.name in asked)
    declaration = declare(dataset.declared.model_copy(update={"tasks": tasks}))
    generated = dataset.declared.source.is_generated
    write_labels(store, missing, declaration, attempt_id, generated=generated)


def finished_labels(store: ArtifactStore, labels: Iterable[LabelReference]) -> dict[str, FinishedArtifact]:
    """The labels by task. Raises `ObjectNotFound` where `ensure_labels` has not been."""
    found = {label.task: store.object(KIND, label.identity).finished() for label in labels}
    for task, done in found.items():
        if done is None:
            raise ObjectNotFound(
                f"the labels of task {task!r} are gone from the artifacts; run the job again"
            )
    return {task: done for task, done in found.items() if done is not None}


def read_labels(done: FinishedArtifact) -> npt.NDArray[np.float32]:
    """Return labels by declared row, float32 [rows]."""
    return np.load(io.BytesIO(done.read_bytes(VALUES)), allow_pickle=False)


def _encoded(values: npt.NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, values.astype(np.float32), allow_pickle=False)
    return file.getvalue()
