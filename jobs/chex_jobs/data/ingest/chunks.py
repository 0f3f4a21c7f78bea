"""The unit of ingest: some hundred films, decoded into one shard, committed by one record.

    attempts/<attempt>/shards/shard-00007.npy             the pixels, first
    attempts/<attempt>/private/chunks/chunk-00007.json    the record, last: checksum of the shard, fate of each film

Chunks are cut by the order of keys alone, so the bytes of a shard depend neither on workers nor on the order of work.
A later attempt takes over every chunk whose record is sound, whose films nobody has written again since, and whose shard
still has its checksum.
"""

import hashlib
import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chex_jobs.artifacts import AttemptWriter, CorruptArtifact, FileRecord, ObjectNotFound
from chex_jobs.artifacts.hashing import check_bytes
from chex_jobs.artifacts.sealed_json import seal, unseal
from chex_jobs.data.dataset.shards import ShardSlot, encode_shard, shard_path
from chex_jobs.data.decoding.faults import Fault, FilmError, Reason
from chex_jobs.data.decoding.limited_decoder import LimitedDecoder
from chex_jobs.data.decoding.pixels import Film, shrink
from chex_jobs.data.records.film_table import FilmReader

log = logging.getLogger(__name__)

RECORD_SCHEMA = "chexdragon.dev/ingest-chunk/v2"

_READ_AHEAD = 8
"""Files read while one is decoded: hides the latency of S3 behind some 20 ms of decoding."""


@dataclass(frozen=True, slots=True)
class DecodedFilm:
    """Where a film lies in its shard, and what tells its content.

    Attributes:
        slot: in the shard.
        film_sha256: of the stored picture's size and pixels.
        file_sha256: of the file it was decoded from; of a film that its source makes, `film_sha256`.
    """

    slot: ShardSlot
    film_sha256: str
    file_sha256: str


Outcome = DecodedFilm | Fault


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a task is told. Pickles.

    Attributes:
        number: of the chunk and its shard.
        keys: films to decode, in order.
        reader: gets their pictures.
        short_side: of stored films, in pixels.
        attempt: writes below the ingest's artifact.
        stamps: size in bytes and mark of each film's file, as the source was listed; empty where there is no listing.
        records: keys, below the storage's root, of what earlier attempts left for this chunk.
    """

    number: int
    keys: tuple[str, ...]
    reader: FilmReader
    short_side: int
    attempt: AttemptWriter
    stamps: tuple[tuple[int, str], ...] = ()
    records: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the shard's content: a record of other films, or of films since mended, is no use."""
        told = [self.keys, self.stamps, self.short_side]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What became of a chunk: the record of its shard, and the outcome of each film in the order of keys."""

    number: int
    shard: FileRecord
    outcomes: tuple[Outcome, ...]


def record_path(number: int) -> str:
    """Return the path of a chunk's record in its attempt. It holds what files say of themselves, so it is private."""
    return f"private/chunks/chunk-{number:05d}.json"


def process_chunk(chunk: Chunk) -> ChunkResult:
    """Take the chunk over from an earlier attempt, or decode it and commit it.

    Raises:
        ArtifactError: storage fails. What is wrong with a film never raises.
    """
    return _taken_over(chunk) or _decoded(chunk)


def close_decoder() -> None:
    """End this process's decoder, if it has one."""
    if _decoders:
        _decoders.pop().close()


def _decoded(chunk: Chunk) -> ChunkResult:
    films: list[Film] = []
    outcomes: list[Fault | tuple[str, str]] = []
    for read in _read_ahead(chunk.reader.read, chunk.keys):
        try:
            content = read()
            film = _film(content, chunk.short_side)
        except FilmError as error:
            outcomes.append(error.fault)
            continue
        films.append(film)
        outcomes.append(_digests(content, film))
    content, slots = encode_shard(films)
    next_slot = iter(slots)
    placed = tuple(
        outcome if isinstance(outcome, Fault) else DecodedFilm(next(next_slot), *outcome)
        for outcome in outcomes
    )
    result = ChunkResult(chunk.number, chunk.attempt.write_bytes(shard_path(chunk.number), content), placed)
    chunk.attempt.write_bytes(record_path(chunk.number), _encode(result, chunk.fingerprint))
    return result


def _taken_over(chunk: Chunk) -> ChunkResult | None:
    """Return what an earlier attempt committed, if its record and its shard are sound."""
    storage, folder = chunk.attempt.artifact.storage, chunk.attempt.artifact.folder
    for key in chunk.records:
        try:
            result = _decode(storage.read_bytes(key), storage.uri_of(key), chunk)
            shard = storage.read_bytes(f"{folder}/{result.shard.key}")
            check_bytes(shard, result.shard.size, result.shard.sha256, storage.uri_of(key))
        except (CorruptArtifact, ObjectNotFound) as error:
            log.warning("chunk %d is decoded again: %s", chunk.number, error)
            continue
        return result
    return None


def _encode(result: ChunkResult, fingerprint: str) -> bytes:
    outcomes = [
        [outcome.reason.value, outcome.detail]
        if isinstance(outcome, Fault)
        else [
            outcome.slot.offset,
            outcome.slot.height,
            outcome.slot.width,
            outcome.film_sha256,
            outcome.file_sha256,
        ]
        for outcome in result.outcomes
    ]
    return seal(
        {
            "schema": RECORD_SCHEMA,
            "number": result.number,
            "fingerprint": fingerprint,
            "shard": asdict(result.shard),
            "outcomes": outcomes,
        }
    )


def _decode(content: bytes, uri: str, chunk: Chunk) -> ChunkResult:
    plain = unseal(content, uri)
    told = (plain.get("schema"), plain.get("number"), plain.get("fingerprint"))
    if told != (RECORD_SCHEMA, chunk.number, chunk.fingerprint):
        raise CorruptArtifact(f"{uri} is the record of another chunk: the source has changed since")
    outcomes = tuple(_outcome(plain_outcome) for plain_outcome in plain["outcomes"])
    return ChunkResult(chunk.number, FileRecord(**plain["shard"]), outcomes)


def _outcome(plain: list[Any]) -> Outcome:
    if len(plain) == 2:
        return Fault(Reason(plain[0]), plain[1])
    offset, height, width, film_sha256, file_sha256 = plain
    return DecodedFilm(ShardSlot(offset, height, width), film_sha256, file_sha256)


def _film(content: bytes | npt.NDArray[np.uint8], short_side: int) -> Film:
    """Return the film to store: from a file's bytes, or from a source that makes its films."""
    if isinstance(content, bytes):
        return _decoder().decode(content, short_side)
    return np.ascontiguousarray(shrink(content, short_side))


def _digests(content: bytes | npt.NDArray[np.uint8], film: Film) -> tuple[str, str]:
    """Return the digests of the stored film and of its file."""
    of_film = film_digest(film)
    return of_film, hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else of_film


def film_digest(film: Film) -> str:
    """Return the SHA-256 of a film's size and pixels."""
    digest = hashlib.sha256(f"{film.shape[0]}x{film.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(film).data)
    return digest.hexdigest()


def _read_ahead(
    read: Callable[[str], bytes | npt.NDArray[np.uint8]], keys: Sequence[str]
) -> Iterator[Callable[[], bytes | npt.NDArray[np.uint8]]]:
    """Yield, in order of keys, calls that return the content or raise what reading raised."""
    waiting: deque[Future[bytes | npt.NDArray[np.uint8]]] = deque()
    with ThreadPoolExecutor(max_workers=_READ_AHEAD, thread_name_prefix="read-film") as pool:
        try:
            for key in keys:
                waiting.append(pool.submit(read, key))
                if len(waiting) > _READ_AHEAD:
                    yield waiting.popleft().result
            while waiting:
                yield waiting.popleft().result
        finally:
            for future in waiting:
                future.cancel()


# One decoder for each process that runs tasks: Ray keeps its workers, and starting one costs as much as ten films.
_decoders: list[LimitedDecoder] = []


def _decoder() -> LimitedDecoder:
    if not _decoders:
        _decoders.append(LimitedDecoder())
    return _decoders[0]
