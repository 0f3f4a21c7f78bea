"""From a source to a finished `ingest` artifact: every film decoded once, in resumable chunks, faulty ones set aside.

    declared rows -> views asked for -> rows with a film -> chunks (tasks) -> duplicates -> index and private tables

What the artifact holds depends on source, manifest and seed only: chunks, numbers and tables follow the order of keys,
whatever the number of workers, the order in which chunks end, or the attempts that were killed.
"""

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chex_api.dataset import Dataset
from chex_jobs.artifacts import AttemptWriter, FileRecord, FinishedArtifact
from chex_jobs.data import index
from chex_jobs.data.chunks import Chunk, ChunkResult, DecodedFilm, close_decoder, process_chunk
from chex_jobs.data.declaration import declare
from chex_jobs.data.duplicates import duplicates
from chex_jobs.data.errors import QuarantineError
from chex_jobs.data.faults import Fault
from chex_jobs.data.quarantine import check_share, counts_by_reason, quarantine_table
from chex_jobs.data.records import FilmTable
from chex_jobs.data.shards import films_per_shard
from chex_jobs.data.splits import assign
from chex_jobs.data.summary import part_counts

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
    labels: Mapping[str, npt.NDArray[np.float32]]
    faults: dict[int, Fault]
    decoded: dict[int, DecodedFilm] = field(default_factory=dict)
    shard_of: dict[int, int] = field(default_factory=dict)
    shards: dict[int, FileRecord] = field(default_factory=dict)


def ingest(
    dataset: Dataset,
    *,
    seed: int,
    attempt: AttemptWriter,
    mapper: Mapper = in_process,
    on_progress: Callable[[IngestProgress], None] = lambda _: None,
    environment: Mapping[str, Any] | None = None,
) -> FinishedArtifact:
    """Ingest a data set and commit it.

    Args:
        dataset: the manifest's data set.
        seed: `spec.seed`; decides the split.
        attempt: writes below the ingest's artifact; what earlier attempts committed is taken over.
        mapper: where chunks are decoded, e.g. `chex_jobs.data.ray_mapper.RayMapper`.
        on_progress: called after each chunk; what it raises stops the ingest, and a later attempt goes on.
        environment: recorded in the manifest.

    Raises:
        SourceError: the source is not laid out as declared.
        ColumnError: a column is missing, or cannot answer a task.
        SplitError: the split cannot be made, or parts a patient.
        QuarantineError: more films than `quarantine.maxShare` cannot be used.
        TasksFailed: Ray tasks died, from lack of memory for instance, more often than they are retried.
        ArtifactError: storage fails.
    """
    declaration = declare(dataset)
    work = _Work(declaration.table, declaration.labels, dict(declaration.faults))
    _check_quarantine(dataset, work, attempt)
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
    digests = {row: film.film_sha256 for row, film in work.decoded.items()}
    work.faults |= duplicates(digests, [film.patient for film in work.table.films])
    _check_quarantine(dataset, work, attempt)
    return _commit(dataset, seed, work, attempt, environment or {})


def _rows_by_chunk(work: _Work, size: int) -> list[list[int]]:
    rows = [row for row in range(len(work.table.films)) if row not in work.faults]
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
    assignment = assign(dataset.split, seed, patient_ids, [film.official for film in films])
    patients, known_patients = index.numbered(patient_ids)
    studies, _ = index.numbered([(film.patient, film.study or ("", film.key)) for film in films])
    places = [work.decoded[row].place for row in rows]
    labels = {name: values[rows] for name, values in work.labels.items()}
    kept = work.table.select(rows)
    table = index.index_table(
        {
            "ordinal": range(len(rows)),
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
        },
        labels,
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
            "parts": part_counts(assignment, patients, labels),
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
