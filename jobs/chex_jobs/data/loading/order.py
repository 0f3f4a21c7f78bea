"""Which films form which batch: a function of (seed, epoch) and of the set of films, of nothing else."""

from dataclasses import dataclass

import numpy as np

from chex_jobs.data.keyed_random import Stream, keyed_generator


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a run: `step` batches of `epoch` have been taken. All that a resumed run needs to know of its data."""

    epoch: int = 0
    step: int = 0


class EpochOrder:
    """The global batches of every epoch.

    One film of each unit (film, study or patient) takes part in an epoch. The last partial batch is left out, another
    one each epoch; a set smaller than one batch is repeated until it fills it.

    Attributes:
        num_units: units that take part.
        steps_per_epoch: number of global batches in an epoch, >= 1.
    """

    def __init__(self, ordinals: np.ndarray, units: np.ndarray, *, batch_size: int, seed: int) -> None:
        """Group the films.

        Args:
            ordinals: int `[N]`, the films that take part; at least one. Their order here does not matter.
            units: int `[N]`, equal numbers mark the films of one unit.
            batch_size: films in a global batch.
            seed: of the run.

        Raises:
            ValueError: there is no film.
        """
        if len(ordinals) == 0:
            raise ValueError("no film to draw batches from: the selected split, views and reports leave none")
        by_unit = np.lexsort((ordinals, units))
        self._ordinals = np.asarray(ordinals, dtype=np.int64)[by_unit]
        _, self._starts, self._counts = np.unique(
            np.asarray(units)[by_unit], return_index=True, return_counts=True
        )
        self._batch_size = batch_size
        self._seed = seed
        self.num_units = len(self._starts)
        self.steps_per_epoch = max(1, self.num_units // batch_size)

    def batches(self, epoch: int) -> np.ndarray:
        """Return the film ordinals of the epoch's global batches, int64 `[steps_per_epoch, batch_size]`."""
        chosen = keyed_generator(Stream.FILM_OF_UNIT, self._seed, epoch).random(len(self._starts))
        films = self._ordinals[self._starts + (chosen * self._counts).astype(np.int64)]
        films = films[keyed_generator(Stream.EPOCH_ORDER, self._seed, epoch).permutation(len(films))]
        return np.resize(films, (self.steps_per_epoch, self._batch_size))
