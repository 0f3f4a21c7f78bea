"""From a source to a finished `ingest` artifact: every film decoded once, in resumable chunks, faulty ones set aside.

    declared rows -> views asked for -> rows with a film -> chunks (tasks) -> duplicates -> index and private tables

What the artifact holds depends on source, manifest and seed only: chunks, numbers and tables follow the order of keys,
whatever the number of workers, the order in which chunks end, or the attempts that were killed.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chex_api.dataset import Dataset
from chex_api.stage import LabelReference
from chex_api.summaries import IngestSummary
from chex_jobs.artifacts import ArtifactStore, AttemptWriter, FileRecord, FinishedArtifact
from chex_jobs.data.dataset import index
from chex_jobs.data.dataset.duplicates import duplicates
from chex_jobs.data.dataset.label_objects import write_labels
from chex_jobs.data.dataset.shards import films_per_shard, shard_path
from chex_jobs.data.dataset.summary import part_counts
from chex_jobs.data.decoding.faults import Fault
from chex_jobs.data.errors import QuarantineError, SourceError
from chex_jobs.data.ingest.chunks import Chunk, ChunkResult, Outcome, close_decoder, process_chunk
from chex_jobs.data.ingest.decoded_films import NO_SHARD, DecodedFilms
from chex_jobs.data.ingest.quarantine import check_share, counts_by_reason, quarantine_table
from chex_jobs.data.ingest.takeover import decoded_table, fingerprint, taken_over
from chex_jobs.data.records.film_table import FilmTable
from chex_jobs.data.records.films import Films
from chex_jobs.data.sources.contents import Contents, film_contents, films_digest
from chex_jobs.data.sources.declaration import Declaration, declare
from chex_jobs.data.splits.assignment import assign
from chex_jobs.data.tables.cells import Cells

_UNNUMBERED = 2**31 - 1
"""Shard of a film that was taken over, before all of those have their numbers."""
_RECORD = re.compile(r"/private/chunks/chunk-(\d+)\.json$")


class Mapper(Protocol):
    """Applies a function to items somewhere and yields the results in any order."""

    def __call__(
        self, function: Callable[[Chunk], ChunkResult], items: Iterable[Chunk], /
    ) -> Generator[ChunkResult]:
        """Yield `function(item)` of every item. Closing the generator stops what has begun."""
        ...


def in_process(function: Callable[[Chunk], ChunkResult], items: Iterable[Chunk], /) -> Generator[ChunkResult]:
    """Do the work here, one chunk after another."""
    try:
        yield from map(function, items)
    finally:
        close_decoder()


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is, in films.

    Attributes:
        films_done: decoded, taken over from an earlier attempt, or set aside.
        films_total: declared.
        quarantined: set aside so far.
    """

    films_done: int
    films_total: int
    quarantined: int


@dataclass(slots=True)
class _Work:
    """What is known so far of each row of `table`. Faults, films and shards grow as chunks end."""

    table: FilmTable
    prints: npt.NDArray[np.bytes_]
    """Fingerprint of each film, 64 hex digits, by which a later ingest takes it over; empty for one that is not there."""
    decoded: DecodedFilms
    faults: dict[int, Fault]
    outcomes: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """Labels by which patients are dealt out to folds."""
    declared_faults: frozenset[int] = frozenset()
    """Rows that were faulty before any film was opened: what is wrong is not the film."""
    shards: dict[int, FileRecord] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    """Row of a duplicate -> the row that is kept for it."""


def ingest(
    dataset: Dataset,
    *,
    seed: int,
    attempt: AttemptWriter,
    digest: str = "",
    labels: Sequence[LabelReference] = (),
    outcomes: Sequence[str] = (),
    mapper: Mapper = in_process,
    on_progress: Callable[[IngestProgress], None] = lambda _: None,
    environment: Mapping[str, Any] | None = None,
) -> FinishedArtifact:
    """Ingest a data set and commit it.

    Args:
        dataset: the manifest's data set.
        seed: `spec.seed`; decides the split.
        attempt: writes below the ingest's artifact; what earlier attempts committed is taken over, and so is every film
            that a finished ingest of this storage holds already.
        digest: what a preflight saw of the films, `contents.films_digest`; empty: whatever is there is ingested.
        labels: of tasks that later stages ask for; they are stored beside the films.
        outcomes: tasks whose outcomes every fold is to have, where there are folds.
        mapper: where chunks are decoded, e.g. `chex_jobs.data.ingest.ray_mapper.RayMapper`.
        on_progress: called after each chunk; what it raises stops the ingest, and a later attempt goes on.
        environment: recorded in the manifest.

    Raises:
        SourceError: the source is not laid out as declared, or has changed since `digest` was made.
        ColumnError: a column is missing, or cannot answer a task.
        SplitError: the split cannot be made, or parts a patient.
        QuarantineError: more films than `quarantine.maxShare` cannot be used.
        TasksFailed: Ray tasks died, from lack of memory for instance, more often than they are retried.
        ArtifactError: storage fails.
    """
    declaration = declare(dataset)
    contents = film_contents(dataset, declaration.table.films)
    _check_unchanged(dataset, declaration, contents, digest)
    work = _Work(
        declaration.table,
        _fingerprints(contents, dataset),
        DecodedFilms(len(contents)),
        dict(declaration.faults),
        {task: declaration.labels[task] for task in outcomes},
        frozenset(declaration.faults),
    )
    _check_quarantine(dataset, work, attempt)
    del contents
    taken_shards = _take_over(work, ArtifactStore(attempt.artifact.storage))
    rows_of = _rows_by_chunk(work, films_per_shard(dataset.stored_short_side))
    records = _earlier_records(attempt)

    def chunk(number: int) -> Chunk:
        films = work.table.films.select(rows_of[number])
        return Chunk(
            number=number,
            keys=tuple(films.keys),
            reader=declaration.reader,
            short_side=dataset.stored_short_side,
            attempt=attempt.artifact.attempt(attempt.attempt_id),
            stamps=tuple(zip(films.sizes.tolist(), films.marks, strict=True)),
            records=tuple(records.get(number, ())),
        )

    on_progress(_progress(work))
    with closing(mapper(process_chunk, map(chunk, range(len(rows_of))))) as results:
        for result in results:
            _enter(work, rows_of[result.number], result)
            on_progress(_progress(work))
            _check_quarantine(dataset, work, attempt)
    _number_taken_shards(work, taken_shards, first=len(rows_of))
    attempt.write_bytes(index.DECODED, index.to_parquet(decoded_table(_fates(work))))
    rows = work.decoded.rows
    found = duplicates(rows, work.decoded.film_sha256[rows], work.table.films.patients)
    work.faults |= found.faults
    work.kept |= found.kept
    _check_quarantine(dataset, work, attempt)
    store = ArtifactStore(attempt.artifact.storage)
    generated = dataset.source.is_generated
    write_labels(store, labels, declaration, attempt.attempt_id, generated=generated)
    return _commit(dataset, seed, work, attempt, digest, environment or {})


def _check_unchanged(dataset: Dataset, declaration: Declaration, contents: Contents, digest: str) -> None:
    """What is there is what the stage's identity was made of. Minutes or days may lie between preflight and ingest."""
    if digest and films_digest(declaration.table, contents) != digest:
        raise SourceError(
            f"data set {dataset.name!r}: what lies at its source has changed since this job's preflight looked at it; run the "
            "job again, in a cluster with `kubectl chex resume`: a preflight then looks again, and what depends on it is "
            "computed anew"
        )


def _fingerprints(contents: Contents, dataset: Dataset) -> npt.NDArray[np.bytes_]:
    short_side = dataset.stored_short_side
    told = (fingerprint(content, short_side) if content else "" for content in contents)
    return np.fromiter(told, "S64", len(contents))


def _take_over(work: _Work, store: ArtifactStore) -> dict[int, FileRecord]:
    """Enter every film that a finished ingest holds; return the shard of each such row."""
    rows = np.array(
        [row for row, print_ in enumerate(work.prints) if print_ and row not in work.faults], np.int64
    )
    order = rows[np.argsort(work.prints[rows], kind="stable")]
    in_order = work.prints[order]
    shards: dict[int, FileRecord] = {}
    for film, taken in taken_over(store, {each.decode() for each in work.prints[rows].tolist()}):
        begin, end = (np.searchsorted(in_order, film.encode(), side) for side in ("left", "right"))
        for row in order[begin:end].tolist():
            if isinstance(taken.outcome, Fault):
                work.faults[row] = taken.outcome
                continue
            assert taken.shard is not None
            work.decoded.enter(row, taken.outcome, _UNNUMBERED)
            shards[row] = taken.shard
    return shards


def _number_taken_shards(work: _Work, shards: Mapping[int, FileRecord], first: int) -> None:
    """Number the shards of other ingests after our own, in the order of where they lie."""
    records = {record.shared: record for record in shards.values()}
    numbers = {key: first + place for place, key in enumerate(sorted(records))}
    for key, number in numbers.items():
        work.shards[number] = replace(records[key], path=shard_path(number))
    for row, record in shards.items():
        work.decoded.shard[row] = numbers[record.shared]


def _fates(work: _Work) -> Iterator[tuple[str, int, Outcome]]:
    """What became of each film whose file was there, before equal films are set aside."""
    for row, film in enumerate(work.prints.tolist()):
        outcome = work.decoded.film(row) or work.faults.get(row)
        if film and outcome is not None and row not in work.declared_faults:
            yield film.decode(), int(work.decoded.shard[row]), outcome


def _rows_by_chunk(work: _Work, size: int) -> list[npt.NDArray[np.int64]]:
    is_left = work.decoded.shard == NO_SHARD
    is_left[list(work.faults)] = False
    rows = np.flatnonzero(is_left)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _earlier_records(attempt: AttemptWriter) -> dict[int, list[str]]:
    """Return the keys of committed chunks by number: those of this attempt (it may have been restarted) and of others."""
    storage, folder = attempt.artifact.storage, attempt.artifact.folder
    found: dict[int, list[str]] = {}
    for key in sorted(storage.sizes(f"{folder}/attempts")):
        if match := _RECORD.search(key):
            found.setdefault(int(match[1]), []).append(key)
    return found


def _enter(work: _Work, rows: npt.NDArray[np.int64], result: ChunkResult) -> None:
    work.shards[result.number] = result.shard
    for row, outcome in zip(rows.tolist(), result.outcomes, strict=True):
        if isinstance(outcome, Fault):
            work.faults[row] = outcome
        else:
            work.decoded.enter(row, outcome, result.number)


def _progress(work: _Work) -> IngestProgress:
    decoded = int(np.count_nonzero(work.decoded.shard != NO_SHARD))
    return IngestProgress(decoded + len(work.faults), len(work.table.films), len(work.faults))


def _check_quarantine(dataset: Dataset, work: _Work, attempt: AttemptWriter) -> None:
    """Stop as soon as it is certain that too many films are faulty, and leave the list of them."""
    if len(work.faults) > dataset.quarantine.max_share * len(work.table.films):
        _write_quarantine(work, attempt)
    check_share(work.faults.values(), len(work.table.films), dataset.quarantine.max_share)


def _write_quarantine(work: _Work, attempt: AttemptWriter) -> None:
    table = quarantine_table(work.table.films.keys, work.faults)
    attempt.write_bytes(index.QUARANTINE, index.to_parquet(table))


def _commit(
    dataset: Dataset,
    seed: int,
    work: _Work,
    attempt: AttemptWriter,
    digest: str,
    environment: Mapping[str, Any],
) -> FinishedArtifact:
    """Number what is left, split it, write index and private tables, and commit."""
    rows = work.decoded.rows
    rows = rows[~np.isin(rows, list(work.faults))]
    if not len(rows):
        raise QuarantineError(
            f"data set {dataset.name!r}: none of {len(work.table.films)} films can be used."
        )
    films, decoded = work.table.films.select(rows), work.decoded
    outcomes = {task: labels[rows] for task, labels in work.outcomes.items()}
    assignment = assign(dataset.split, seed, films.patients, films.officials, outcomes)
    patients, known_patients = films.patients.numbered()
    studies = index.numbered_studies(films)
    has_report = np.array([report is not None for report in films.reports])
    table = index.index_table(
        {
            "ordinal": range(len(rows)),
            "row": rows,
            "shard": decoded.shard[rows],
            "offset": decoded.offset[rows],
            "height": decoded.height[rows],
            "width": decoded.width[rows],
            "patient": patients,
            "study": studies,
            "view": films.views,
            "split": assignment.split,
            "fold": assignment.fold,
            "has_report": has_report,
            "film_sha256": decoded.film_sha256[rows],
            "file_sha256": decoded.file_sha256[rows],
        },
        {name: Cells.of(cells).select(rows) for name, cells in work.table.metadata.items()},
    )
    for number in np.unique(decoded.shard[rows]).tolist():
        attempt.adopt(work.shards[number])
    attempt.write_bytes(index.INDEX, index.to_parquet(table))
    if work.kept:
        attempt.write_bytes(index.EQUALS, index.to_parquet(_equals(work.kept, rows)))
    _write_private(films, known_patients, attempt)
    _write_quarantine(work, attempt)
    return attempt.commit(
        summary=IngestSummary(
            films=len(rows),
            patients=len(known_patients),
            studies=int(studies.max(initial=-1)) + 1,
            with_report=int(has_report.sum()),
            unit=dataset.unit,
            num_folds=assignment.num_folds,
            parts=part_counts(assignment, patients),
            declared=len(work.table.films),
            quarantined=counts_by_reason(work.faults.values()),
            left_out=dict(work.table.left_out),
            bytes=int((decoded.height[rows].astype(np.int64) * decoded.width[rows]).sum()),
            source_digest=digest,
        ).plain(),
        environment=environment,
    )


def _equals(kept: Mapping[int, int], rows: npt.NDArray[np.integer]) -> pa.Table:
    """The table `index.EQUALS`; `rows` [N] of the films, ascending."""
    aside = sorted(kept)
    ordinals = np.searchsorted(rows, [kept[row] for row in aside])
    return pa.table({"ordinal": pa.array(ordinals, pa.int32()), "row": pa.array(aside, pa.int32())})


def _write_private(films: Films, patients: Cells[str], attempt: AttemptWriter) -> None:
    """Write what identifies people: ids, files and reports."""
    ordinals = pa.array(np.arange(len(films)), pa.int32())
    reports = films.reports.text
    is_told = reports.is_valid()
    tables = {
        index.PATIENTS: pa.table(
            {"patient": pa.array(np.arange(len(patients)), pa.int32()), "id": patients.text}
        ),
        index.REPORTS: pa.table(
            {
                "ordinal": ordinals.filter(is_told.combine_chunks()),
                "report": reports.drop_null(),
            }
        ),
        index.FILMS: pa.table({"ordinal": ordinals, "file": films.keys.text, "study": films.studies.text}),
    }
    for path, table in tables.items():
        attempt.write_bytes(path, index.to_parquet(table))
