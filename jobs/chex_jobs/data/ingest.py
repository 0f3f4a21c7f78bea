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
from chex_jobs.artifacts import ArtifactStore, AttemptWriter, FileRecord, FinishedArtifact
from chex_jobs.data import index
from chex_jobs.data.chunks import Chunk, ChunkResult, DecodedFilm, Outcome, close_decoder, process_chunk
from chex_jobs.data.contents import Contents, film_contents, films_digest
from chex_jobs.data.declaration import Declaration, declare
from chex_jobs.data.duplicates import duplicates
from chex_jobs.data.errors import QuarantineError, SourceError
from chex_jobs.data.faults import Fault
from chex_jobs.data.label_objects import write_labels
from chex_jobs.data.quarantine import check_share, counts_by_reason, quarantine_table
from chex_jobs.data.records import FilmRecord, FilmTable
from chex_jobs.data.shards import films_per_shard, shard_path
from chex_jobs.data.splits import assign
from chex_jobs.data.summary import part_counts
from chex_jobs.data.takeover import NO_SHARD, decoded_table, fingerprint, taken_over

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
    films: Sequence[str]
    """Fingerprint of each film, by which a later ingest takes it over; empty for one that is not there."""
    faults: dict[int, Fault]
    outcomes: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """Labels by which patients are dealt out to folds."""
    declared_faults: frozenset[int] = frozenset()
    """Rows that were faulty before any film was opened: what is wrong is not the film."""
    decoded: dict[int, DecodedFilm] = field(default_factory=dict)
    shard_of: dict[int, int] = field(default_factory=dict)
    shards: dict[int, FileRecord] = field(default_factory=dict)


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
        mapper: where chunks are decoded, e.g. `chex_jobs.data.ray_mapper.RayMapper`.
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
        [_fingerprint(film, contents, dataset) for film in declaration.table.films],
        dict(declaration.faults),
        {task: declaration.labels[task] for task in outcomes},
        frozenset(declaration.faults),
    )
    _check_quarantine(dataset, work, attempt)
    taken_shards = _take_over(work, ArtifactStore(attempt.artifact.storage))
    rows_of = _rows_by_chunk(work, films_per_shard(dataset.stored_short_side))
    records = _earlier_records(attempt)
    chunks = [
        Chunk(
            number=number,
            keys=tuple(work.table.films[row].key for row in rows),
            reader=declaration.reader,
            short_side=dataset.stored_short_side,
            attempt=attempt.artifact.attempt(attempt.attempt_id),
            stamps=tuple((work.table.films[row].size_bytes, work.table.films[row].mark) for row in rows),
            records=tuple(records.get(number, ())),
        )
        for number, rows in enumerate(rows_of)
    ]
    on_progress(_progress(work))
    with closing(mapper(process_chunk, chunks)) as results:
        for result in results:
            _enter(work, rows_of[result.number], result)
            on_progress(_progress(work))
            _check_quarantine(dataset, work, attempt)
    _number_taken_shards(work, taken_shards, first=len(chunks))
    attempt.write_bytes(index.DECODED, index.to_parquet(decoded_table(_fates(work))))
    digests = {row: film.film_sha256 for row, film in work.decoded.items()}
    work.faults |= duplicates(digests, [film.patient for film in work.table.films])
    _check_quarantine(dataset, work, attempt)
    store = ArtifactStore(attempt.artifact.storage)
    generated = dataset.source.phantom is not None
    write_labels(store, labels, declaration, attempt.attempt_id, generated=generated)
    return _commit(dataset, seed, work, attempt, environment or {})


def _check_unchanged(dataset: Dataset, declaration: Declaration, contents: Contents, digest: str) -> None:
    """What is there is what the stage's identity was made of. Minutes or days may lie between preflight and ingest."""
    if digest and films_digest(declaration.table, contents) != digest:
        raise SourceError(
            f"data set {dataset.name!r}: what lies at its source has changed since this job's preflight looked at it; run the "
            "job again, in a cluster with `kubectl chex resume`: a preflight then looks again, and what depends on it is "
            "computed anew"
        )


def _fingerprint(film: FilmRecord, contents: Contents, dataset: Dataset) -> str:
    content = contents.get(film.key)
    return "" if content is None else fingerprint(content, dataset.stored_short_side)


def _take_over(work: _Work, store: ArtifactStore) -> dict[int, FileRecord]:
    """Enter every film that a finished ingest holds; return the shard of each such row."""
    rows = [row for row, film in enumerate(work.films) if film and row not in work.faults]
    found = taken_over(store, {work.films[row] for row in rows})
    shards: dict[int, FileRecord] = {}
    for row in rows:
        taken = found.get(work.films[row])
        if taken is None:
            continue
        if isinstance(taken.outcome, Fault):
            work.faults[row] = taken.outcome
            continue
        assert taken.shard is not None
        work.decoded[row] = taken.outcome
        shards[row] = taken.shard
    return shards


def _number_taken_shards(work: _Work, shards: Mapping[int, FileRecord], first: int) -> None:
    """Number the shards of other ingests after our own, in the order of where they lie."""
    records = {record.shared: record for record in shards.values()}
    numbers = {key: first + place for place, key in enumerate(sorted(records))}
    for key, number in numbers.items():
        work.shards[number] = replace(records[key], path=shard_path(number))
    for row, record in shards.items():
        work.shard_of[row] = numbers[record.shared]


def _fates(work: _Work) -> Iterator[tuple[str, int, Outcome]]:
    """What became of each film whose file was there, before equal films are set aside."""
    for row, film in enumerate(work.films):
        outcome = work.decoded.get(row) or work.faults.get(row)
        if film and outcome is not None and row not in work.declared_faults:
            yield film, work.shard_of.get(row, NO_SHARD), outcome


def _rows_by_chunk(work: _Work, size: int) -> list[list[int]]:
    rows = [row for row in range(len(work.table.films)) if row not in work.faults and row not in work.decoded]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _earlier_records(attempt: AttemptWriter) -> dict[int, list[str]]:
    """Return the keys of committed chunks by number: those of this attempt (it may have been restarted) and of others."""
    storage, folder = attempt.artifact.storage, attempt.artifact.folder
    found: dict[int, list[str]] = {}
    for key in sorted(storage.sizes(f"{folder}/attempts")):
        if match := _RECORD.search(key):
            found.setdefault(int(match[1]), []).append(key)
    return found


def _enter(work: _Work, rows: list[int], result: ChunkResult) -> None:
    work.shards[result.number] = result.shard
    for row, outcome in zip(rows, result.outcomes, strict=True):
        if isinstance(outcome, Fault):
            work.faults[row] = outcome
        else:
            work.decoded[row] = outcome
            work.shard_of[row] = result.number


def _progress(work: _Work) -> IngestProgress:
    return IngestProgress(len(work.decoded) + len(work.faults), len(work.table.films), len(work.faults))


def _check_quarantine(dataset: Dataset, work: _Work, attempt: AttemptWriter) -> None:
    """Stop as soon as it is certain that too many films are faulty, and leave the list of them."""
    if len(work.faults) > dataset.quarantine.max_share * len(work.table.films):
        _write_quarantine(work, attempt)
    check_share(work.faults.values(), len(work.table.films), dataset.quarantine.max_share)


def _write_quarantine(work: _Work, attempt: AttemptWriter) -> None:
    keys = [film.key for film in work.table.films]
    attempt.write_bytes(index.QUARANTINE, index.to_parquet(quarantine_table(keys, work.faults)))


def _commit(
    dataset: Dataset, seed: int, work: _Work, attempt: AttemptWriter, environment: Mapping[str, Any]
) -> FinishedArtifact:
    """Number what is left, split it, write index and private tables, and commit."""
    rows = [row for row in sorted(work.decoded) if row not in work.faults]
    if not rows:
        raise QuarantineError(
            f"data set {dataset.name!r}: none of {len(work.table.films)} films can be used."
        )
    films = [work.table.films[row] for row in rows]
    patient_ids = [film.patient for film in films]
    outcomes = {task: labels[rows] for task, labels in work.outcomes.items()}
    assignment = assign(dataset.split, seed, patient_ids, [film.official for film in films], outcomes)
    patients, known_patients = index.numbered(patient_ids)
    studies, _ = index.numbered([(film.patient, film.study or ("", film.key)) for film in films])
    places = [work.decoded[row].place for row in rows]
    kept = work.table.select(rows)
    table = index.index_table(
        {
            "ordinal": range(len(rows)),
            "row": rows,
            "shard": [work.shard_of[row] for row in rows],
            "offset": [place.offset for place in places],
            "height": [place.height for place in places],
            "width": [place.width for place in places],
            "patient": patients,
            "study": studies,
            "view": [film.view for film in films],
            "split": assignment.split,
            "fold": assignment.fold,
            "has_report": [film.report is not None for film in films],
            "film_sha256": [work.decoded[row].film_sha256 for row in rows],
            "file_sha256": [work.decoded[row].file_sha256 for row in rows],
        },
        kept.metadata,
    )
    for number in sorted({work.shard_of[row] for row in rows}):
        attempt.adopt(work.shards[number])
    attempt.write_bytes(index.INDEX, index.to_parquet(table))
    _write_private(work, rows, known_patients, attempt)
    return attempt.commit(
        summary={
            "films": len(rows),
            "patients": len(known_patients),
            "studies": int(studies.max(initial=-1)) + 1,
            "with_report": sum(film.report is not None for film in films),
            "unit": dataset.unit,
            "num_folds": assignment.num_folds,
            "parts": part_counts(assignment, patients),
            "declared": len(work.table.films),
            "quarantined": counts_by_reason(work.faults.values()),
            "left_out": dict(work.table.left_out),
            "bytes": sum(place.height * place.width for place in places),
        },
        environment=environment,
    )


def _write_private(work: _Work, rows: list[int], patients: list[str], attempt: AttemptWriter) -> None:
    """Write what identifies people: ids, files, reports, and the films that were set aside."""
    films = [work.table.films[row] for row in rows]
    told = [ordinal for ordinal, film in enumerate(films) if film.report is not None]
    tables = {
        index.PATIENTS: pa.table(
            {"patient": pa.array(range(len(patients)), pa.int32()), "id": pa.array(patients)}
        ),
        index.REPORTS: pa.table(
            {
                "ordinal": pa.array(told, pa.int32()),
                "report": pa.array([films[ordinal].report for ordinal in told], pa.string()),
            }
        ),
        index.FILMS: pa.table(
            {
                "ordinal": pa.array(range(len(films)), pa.int32()),
                "file": pa.array([film.key for film in films], pa.string()),
                "study": pa.array([film.study for film in films], pa.string()),
            }
        ),
    }
    for path, table in tables.items():
        attempt.write_bytes(path, index.to_parquet(table))
    _write_quarantine(work, attempt)
