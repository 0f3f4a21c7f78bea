"""What a source declares of a data set, before any film is opened: preflight checks it, ingest works from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Dataset
from chex_jobs.data.errors import SourceError
from chex_jobs.data.faults import Fault, Reason, is_git_lfs_pointer
from chex_jobs.data.labels import label_columns
from chex_jobs.data.patients import normal_patient_id
from chex_jobs.data.records import MISSING, FilmReader, FilmRecord, FilmTable
from chex_jobs.data.sources import open_source

MAX_FILE_BYTES = 1 << 30
"""The largest legal film has 160 MB uncompressed; what is larger than this is not even read."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The films of a data set, by row.

    Attributes:
        table: films of the views asked for, in ascending order of keys, patient ids in their normal form.
        labels: float32 [rows] by task.
        faults: rows that cannot be used, as far as the table and the listing of files tell.
        reader: gets the pictures.
    """

    table: FilmTable
    labels: Mapping[str, npt.NDArray[np.float32]]
    faults: Mapping[int, Fault]
    reader: FilmReader


def declare(dataset: Dataset) -> Declaration:
    """Read the source's table.

    Raises:
        SourceError: not laid out as the manifest says, or without a film of the views asked for.
        ColumnError: a column is missing, or cannot answer a task.
        ArtifactError: storage fails.
    """
    source = open_source(dataset.source)
    declared = _with_normal_ids(source.films({task.column for task in dataset.tasks}))
    wanted = [row for row, film in enumerate(declared.films) if film.view in dataset.views]
    if not wanted:
        views = ", ".join(dataset.views)
        raise SourceError(
            f"data set {dataset.name!r}: none of {len(declared.films)} films has a view of {views}."
        )
    table = declared.select(wanted)
    other_views = len(declared.films) - len(wanted)
    if other_views:
        table = replace(table, left_out={**table.left_out, "another view": other_views})
    faults = {row: fault for row, film in enumerate(table.films) if (fault := _fault(film))}
    return Declaration(
        table, label_columns(dataset.tasks, table.columns, table.formats), faults, source.reader()
    )


def _with_normal_ids(table: FilmTable) -> FilmTable:
    """Spell each patient's id in one way, before anything is split, grouped or compared by it."""
    return replace(
        table, films=tuple(replace(film, patient=normal_patient_id(film.patient)) for film in table.films)
    )


def _fault(film: FilmRecord) -> Fault | None:
    if film.fault:
        return film.fault
    if not film.patient:
        return Fault(Reason.MISSING_PATIENT, "the row has no patient id")
    if film.size_bytes == MISSING:
        return Fault(Reason.MISSING_FILE, "not below the source's URI")
    if film.size_bytes > MAX_FILE_BYTES:
        return Fault(Reason.DECODER_LIMIT, f"the file has {film.size_bytes} bytes")
    if film.report is not None and is_git_lfs_pointer(film.report):
        return Fault(Reason.GIT_LFS_POINTER, "the report: run `git lfs pull` where it comes from")
    return None
