"""What a source declares of a data set, before any film is opened: preflight checks it, ingest works from it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Dataset
from chex_jobs.data.decoding.faults import Fault, Reason, is_git_lfs_pointer
from chex_jobs.data.errors import ColumnError, SourceError
from chex_jobs.data.labels.merging import check_one_film_each, films_of, merged_labels
from chex_jobs.data.records.film_paths import nearest_films
from chex_jobs.data.records.film_table import MISSING, FilmReader, FilmTable
from chex_jobs.data.records.films import FilmRecord, Films
from chex_jobs.data.records.findings import Finding, Kind, left_out
from chex_jobs.data.records.patients import normal_patient_id
from chex_jobs.data.records.views import OTHER
from chex_jobs.data.sources import open_source
from chex_jobs.data.sources.folder import FileReader

MAX_FILE_BYTES = 1 << 30
"""The largest legal film has 160 MB uncompressed; what is larger than this is not even read."""
FEWEST_OWN_PATIENTS = 50
"""Films from which on it is told that every film is its own patient: of a few that may well be."""
LARGEST_PATIENT_SHARE = 0.2
FEWEST_OF_LARGEST_PATIENT = 50
"""One id with so many films, and so large a share of them, stands for somebody whom nobody knows rather than for a person."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The films of a data set, by row.

    Attributes:
        table: films of the views asked for, each once, in ascending order of keys, patient ids in their normal form.
        labels: float32 [rows] by task.
        faults: rows that cannot be used, as far as the table and the listing of files tell.
        reader: gets the pictures.
        findings: what people should know before anything is computed: rows left out, spellings, slips.
        contradictions: what in the table cannot be, or cannot answer a task, all of it; there are then no labels.
    """

    table: FilmTable
    labels: Mapping[str, npt.NDArray[np.float32]]
    faults: Mapping[int, Fault]
    reader: FilmReader
    findings: tuple[Finding, ...]
    contradictions: tuple[SourceError, ...] = ()


def declare(dataset: Dataset) -> Declaration:
    """Read the source's table. No film is opened.

    Raises:
        SourceError: not laid out as the manifest says, without a film of the views asked for, or with rows of one film
            that contradict each other.
        ColumnError: a column is missing, or cannot answer a task.
        ArtifactError: storage fails.
    """
    declaration = survey(dataset)
    if len(declaration.contradictions) == 1:
        raise declaration.contradictions[0]
    if declaration.contradictions:
        raise SourceError(" ".join(map(str, declaration.contradictions)))
    return declaration


def survey(dataset: Dataset) -> Declaration:
    """Read the source's table as `declare` does, but go on where it contradicts itself or cannot answer a task.

    Raises:
        SourceError: not laid out as the manifest says, or without a film of the views asked for.
        ColumnError: a column is missing.
        ArtifactError: storage fails.
    """
    source = open_source(dataset.source)
    asked = {task.column for task in dataset.tasks}
    asked |= {where.column for task in dataset.tasks for where in task.where}
    every_view = _with_normal_ids(source.films(asked))
    table = _of_views(dataset, every_view)
    rows_of = films_of(table)
    contradictions: list[SourceError] = []
    labels: Mapping[str, npt.NDArray[np.float32]] = {}
    told: list[Finding] = []
    try:
        check_one_film_each(every_view, _with_a_view_of(dataset, every_view))
    except SourceError as error:
        contradictions.append(error)
    try:
        labels, told = merged_labels(dataset.tasks, table, rows_of)
    except ColumnError as error:
        contradictions.append(error)
    first = [rows[0] for rows in rows_of]
    films = replace(table, columns={}).select(first)
    faults = {row: fault for row, film in enumerate(films.films) if (fault := _fault(film))}
    reader = source.reader()
    findings = [
        *films.findings,
        *_several_rows(table, rows_of),
        *_unusable(films, faults, reader),
        *told,
        *_odd_patients(films.films),
    ]
    order = list(Kind)
    ranked = sorted(findings, key=lambda finding: order.index(finding.kind))
    return Declaration(films, labels, faults, reader, tuple(ranked), tuple(contradictions))


def _of_views(dataset: Dataset, declared: FilmTable) -> FilmTable:
    seen, rows = list(declared.films.views), declared.films.rows
    wanted = [place for place, view in enumerate(seen) if view in dataset.views]
    if not wanted:
        views = ", ".join(dataset.views)
        raise SourceError(
            f"data set {dataset.name!r}: none of {len(declared.films)} films has a view of {views}."
        )
    others = [(int(rows[place]), view) for place, view in enumerate(seen) if view not in dataset.views]
    findings = [
        *left_out("another view", sorted(row for row, view in others if view != OTHER)),
        *left_out("view not listed", sorted(row for row, view in others if view == OTHER)),
    ]
    return replace(declared.select(wanted), findings=(*declared.findings, *findings))


def _with_a_view_of(dataset: Dataset, declared: FilmTable) -> list[range]:
    """Return the rows of each film one row of which has a view asked for, those with another view included."""
    views = list(declared.films.views)
    return [rows for rows in films_of(declared) if any(views[row] in dataset.views for row in rows)]


def _with_normal_ids(table: FilmTable) -> FilmTable:
    """Spell each patient's and study's id in one way, before anything is split, grouped or compared by it."""
    patients, studies = (map(normal_patient_id, ids) for ids in (table.films.patients, table.films.studies))
    return replace(table, films=table.films.with_ids(patients, studies))


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


def _several_rows(table: FilmTable, rows_of: Sequence[Sequence[int]]) -> Iterable[Finding]:
    several = [rows for rows in rows_of if len(rows) > 1]
    if several:
        row = int(min(table.films.rows[rows[0]] for rows in several))
        yield Finding(kind=Kind.NOTICE, reason="films with several rows", count=len(several), row=row)


def _unusable(films: FilmTable, faults: Mapping[int, Fault], reader: FilmReader) -> Iterable[Finding]:
    """Count the films that will be set aside by reason; of those without a file, by what is nearest to it."""
    by_reason: dict[str, list[FilmRecord]] = {}
    for row, fault in faults.items():
        by_reason.setdefault(fault.reason.value, []).append(films.films[row])
    missing = by_reason.pop(Reason.MISSING_FILE.value, [])
    for reason, found in by_reason.items():
        yield Finding(
            kind=Kind.UNUSABLE, reason=reason, count=len(found), row=min(film.row for film in found)
        )
    if missing:
        yield from _missing_files(missing, reader)


def _missing_files(missing: Sequence[FilmRecord], reader: FilmReader) -> Iterable[Finding]:
    existing = reader.storage.sizes() if isinstance(reader, FileReader) else {}
    near = nearest_films([film.key for film in missing], existing)
    by_words: dict[str, list[FilmRecord]] = {}
    for film in missing:
        words, _ = near.get(film.key, ("", ""))
        by_words.setdefault(words, []).append(film)
    for words, films in by_words.items():
        example = min(films, key=lambda film: film.row)
        _, nearest = near.get(example.key, ("", ""))
        yield Finding(
            kind=Kind.UNUSABLE,
            reason=f"{Reason.MISSING_FILE.value}: there {words}" if words else Reason.MISSING_FILE.value,
            count=len(films),
            row=example.row,
            private=f"wanted {example.key!r}" + (f", found {nearest!r}" if nearest else ""),
        )


def _odd_patients(films: Films) -> Iterable[Finding]:
    """Tell ids that are hardly those of patients: one for each film, or one for a great part of them."""
    counts = Counter(patient for patient in films.patients if patient)
    if not counts:
        return
    known = counts.total()
    if len(counts) == known >= FEWEST_OWN_PATIENTS:
        yield Finding(
            kind=Kind.NOTICE,
            reason="every film is its own patient: if the column does not name patients, the same people train and test",
            count=known,
        )
    largest, most = counts.most_common(1)[0]
    if len(counts) > 1 and most >= FEWEST_OF_LARGEST_PATIENT and most > LARGEST_PATIENT_SHARE * known:
        row = min(film.row for film in films if film.patient == largest)
        words = "films share one patient id: if it means that nobody is known, add it to source.table.missing"
        yield Finding(kind=Kind.NOTICE, reason=words, count=most, row=row)
