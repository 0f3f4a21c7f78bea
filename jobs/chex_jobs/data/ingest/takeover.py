"""Films that an earlier finished ingest has decoded: they are listed where they lie, and not decoded again.

Every ingest leaves, in its private part, what became of each film, by the content of its file. A later ingest of the same
storage, under whatever identity, name or path, finds its films there: of a table to which films were appended only those are
decoded. Shards stay in the folder of the ingest that wrote them; manifests of others list them (`FileRecord.shared`).
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from chex_api.plan import IMPLEMENTATION_VERSIONS
from chex_jobs.artifacts import ArtifactError, ArtifactStore, FileRecord, FinishedArtifact
from chex_jobs.data.dataset.index import DECODED, from_parquet
from chex_jobs.data.dataset.shards import ShardSlot, shard_path
from chex_jobs.data.decoding.faults import Fault, Reason
from chex_jobs.data.ingest.chunks import DecodedFilm, Outcome
from chex_jobs.data.ingest.decoded_films import NO_SHARD
from chex_jobs.data.tables.cells import AT_ONCE, in_parts

NOT_OF_THE_FILE = (Reason.DECODER_LIMIT, Reason.MISSING_FILE)
"""Faults that another machine or another day may not meet: such a film is looked at again."""

SCHEMA = pa.schema(
    [
        ("film", pa.string()),
        ("shard", pa.int32()),
        ("offset", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("film_sha256", pa.string()),
        ("file_sha256", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What became of a film in an earlier ingest, and the shard that holds it; a faulty film has none."""

    outcome: Outcome
    shard: FileRecord | None


def fingerprint(content: str, short_side: int) -> str:
    """Return the SHA-256 of everything that decides a stored film: its file's content, the stored size, the decoder."""
    told = [IMPLEMENTATION_VERSIONS["ingest"], short_side, content]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def decoded_table(fates: Iterable[tuple[str, int, Outcome]]) -> pa.Table:
    """Return what became of films as a table.

    Args:
        fates: fingerprint, number of the shard (`NO_SHARD` for a faulty film) and outcome of each film.
    """
    batches = [
        pa.RecordBatch.from_arrays(
            [
                pa.array(cells, field.type)
                for cells, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)
            ],
            schema=SCHEMA,
        )
        for rows in in_parts(_row(*fate) for fate in fates)
    ]
    return pa.Table.from_batches(batches, SCHEMA)


def taken_over(store: ArtifactStore, films: Collection[str]) -> Iterator[tuple[str, TakenOver]]:
    """Yield those films, by fingerprint, that a finished ingest of this storage holds; each once, of the newest ingest."""
    wanted = set(films)
    if not wanted:
        return
    for done in store.finished_stages("ingest"):
        if DECODED not in done.files:
            continue
        for film, taken in _films_of(done, wanted):
            wanted.discard(film)
            yield film, taken
        if not wanted:
            return


def _films_of(done: FinishedArtifact, wanted: Collection[str]) -> Iterator[tuple[str, TakenOver]]:
    """Films of one ingest, as far as its table can be read and its shards are there. `wanted` may shrink meanwhile."""
    try:
        table = from_parquet(done.read_bytes(DECODED))
        shards = _shards_there(done)
    except ArtifactError:
        return
    for batch in table.to_batches(max_chunksize=AT_ONCE):
        columns = [batch.column(name).to_pylist() for name in SCHEMA.names]
        for film, number, offset, height, width, sha256, file_sha256, reason, detail in zip(
            *columns, strict=True
        ):
            if film not in wanted:
                continue
            if reason:
                if Reason(reason) not in NOT_OF_THE_FILE:
                    yield film, TakenOver(Fault(Reason(reason), detail), None)
            elif (shard := shards.get(shard_path(number))) is not None:
                slot = ShardSlot(offset, height, width)
                yield film, TakenOver(DecodedFilm(slot, sha256, file_sha256), shard)


def _shards_there(done: FinishedArtifact) -> Mapping[str, FileRecord]:
    """The ingest's shards by path, as another artifact lists them; a shard that is gone or cut off is not among them."""
    sizes: dict[str, int] = {}
    keys = {path: record.key_below(done.folder) for path, record in done.files.items()}
    for owner in {key.partition("/attempts/")[0] for key in keys.values()}:
        sizes |= done.storage.sizes(f"{owner}/attempts")
    return {
        path: replace(record, shared=keys[path])
        for path, record in done.files.items()
        if path.startswith("shards/") and sizes.get(keys[path]) == record.size
    }


def _row(film: str, shard: int, outcome: Outcome) -> tuple[object, ...]:
    """The cells of one film, in the order of `SCHEMA`."""
    if isinstance(outcome, Fault):
        return film, NO_SHARD, 0, 0, 0, "", "", outcome.reason.value, outcome.detail
    slot, digests = outcome.slot, (outcome.film_sha256, outcome.file_sha256)
    return film, shard, slot.offset, slot.height, slot.width, *digests, "", ""
