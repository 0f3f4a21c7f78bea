"""Shards: the decoded films of one chunk, row after row, in one `.npy` file of bytes that can be mapped into memory."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chex_jobs.data.decoding.pixels import Film
from chex_jobs.data.errors import ShardError

SHARD_BYTES = 128 << 20
"""What a shard of films of the stored size comes to, about: large enough to copy fast, small enough to lose."""
FILMS_PER_SHARD = (64, 1024)
"""Bounds of the number of films: below, the files are too many; above, a killed ingest loses too much work."""
_ASPECT = 1.25


@dataclass(frozen=True, slots=True)
class ShardSlot:
    """Where a film lies: byte offset in the shard's array, height and width in pixels."""

    offset: int
    height: int
    width: int


def shard_path(number: int) -> str:
    """Return the path of a shard in the artifact."""
    return f"shards/shard-{number:05d}.npy"


def films_per_shard(short_side: int) -> int:
    """Return how many films a shard gets. A function of the stored size alone, so that shards never depend on workers."""
    least, most = FILMS_PER_SHARD
    return min(most, max(least, SHARD_BYTES // round(short_side * short_side * _ASPECT)))


def encode_shard(films: Sequence[Film]) -> tuple[bytes, list[ShardSlot]]:
    """Return the bytes of a shard's `.npy` file and the place of each film in it."""
    slots: list[ShardSlot] = []
    offset = 0
    for film in films:
        slots.append(ShardSlot(offset, *film.shape))
        offset += film.size
    file = io.BytesIO()
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)),
        "fortran_order": False,
        "shape": (offset,),
    }
    np.lib.format.write_array_header_1_0(file, header)
    for film in films:
        file.write(np.ascontiguousarray(film).data)
    return file.getvalue(), slots


def open_shard(path: Path) -> npt.NDArray[np.uint8]:
    """Map a shard into memory, uint8 [bytes], read-only.

    Raises:
        ShardError: not a one-dimensional array of bytes, or shorter than its header says.
    """
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ShardError(
            f"{path.name} is no readable shard: {error}; delete the ingest's folder and run again."
        ) from error
    if shard.dtype != np.uint8 or shard.ndim != 1:
        raise ShardError(f"{path.name} holds {shard.dtype} of {shard.ndim} dimensions, not a row of bytes.")
    return shard.view(np.ndarray)


def film_at(shard: npt.NDArray[np.uint8], slot: ShardSlot) -> Film:
    """Return a film without copying it, uint8 [height, width].

    Raises:
        ShardError: the shard ends before the film does.
    """
    end = slot.offset + slot.height * slot.width
    if end > shard.size:
        raise ShardError(f"a film of {slot.width} x {slot.height} pixels ends at byte {end} of {shard.size}.")
    return shard[slot.offset : end].reshape(slot.height, slot.width)
