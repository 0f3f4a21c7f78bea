"""What became of the films that could be decoded, by row of the table: columns, as there are as many as films."""

import numpy as np
import numpy.typing as npt

from chex_jobs.data.dataset.shards import ShardSlot
from chex_jobs.data.ingest.chunks import DecodedFilm

NO_SHARD = -1


class DecodedFilms:
    """Films by row, [N]; those that are not decoded, or not yet, have no shard.

    Attributes:
        shard: int32, number of the shard that holds a film, or `NO_SHARD`.
        offset, height, width: int64, int32, int32; the film's place in it.
        film_sha256, file_sha256: 64 hex digits as bytes; see `DecodedFilm`.
    """

    def __init__(self, films: int) -> None:
        self.shard = np.full(films, NO_SHARD, np.int32)
        self.offset = np.zeros(films, np.int64)
        self.height, self.width = (np.zeros(films, np.int32) for _ in range(2))
        self.film_sha256, self.file_sha256 = (np.zeros(films, "S64") for _ in range(2))

    def enter(self, row: int, film: DecodedFilm, shard: int) -> None:
        """A film is decoded."""
        self.shard[row] = shard
        self.offset[row], self.height[row], self.width[row] = (
            film.slot.offset,
            film.slot.height,
            film.slot.width,
        )
        self.film_sha256[row], self.file_sha256[row] = film.film_sha256, film.file_sha256

    def film(self, row: int) -> DecodedFilm | None:
        """What is known of a film, if it is decoded."""
        if self.shard[row] == NO_SHARD:
            return None
        slot = ShardSlot(int(self.offset[row]), int(self.height[row]), int(self.width[row]))
        return DecodedFilm(slot, self.film_sha256[row].decode(), self.file_sha256[row].decode())

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Of the films that are decoded, ascending."""
        return np.flatnonzero(self.shard != NO_SHARD)
