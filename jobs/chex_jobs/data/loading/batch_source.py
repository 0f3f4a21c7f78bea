"""Batches of films, texts and labels as torch tensors, made ahead of the step that uses them.

Shape letters: B films in this rank's part of a batch, V views, S side in pixels, L tokens, T tasks, N films of the
data set. A batch is a dict:

    images          uint8    [B, V, S, S]
    ordinals        int64    [B]           which films
    labels          float32  [B, T]        1 present, 0 absent, NaN unknown; with tasks only
    input_ids       int64    [B, L]        with texts only
    attention_mask  int64    [B, L]        with texts only
    text_group      int64    [B]           with texts only; equal numbers: the texts say the same
    study_text_groups int64  [B, G]        with texts only; the groups of all texts of the film's study, padded with -1
"""

from collections.abc import Generator, Sequence
from typing import Protocol, Self

import numpy as np
import torch

from chex_api.dataset import ScoringUnit
from chex_api.pretraining import Augmentation
from chex_jobs.data.cores import usable_cores
from chex_jobs.data.loading.augmentation import augment, standard_view
from chex_jobs.data.loading.order import EpochOrder, Position
from chex_jobs.data.loading.prefetch import Prefetcher
from chex_jobs.data.reports.tokens import TokenizedTexts

Batch = dict[str, torch.Tensor]


class FilmSource(Protocol):
    """What loading needs of a data set; `ChestXrayDataset` has it. Numbers of studies and patients are `[N]`."""

    studies: np.ndarray
    patients: np.ndarray

    def __len__(self) -> int: ...

    def film(self, i: int, /) -> np.ndarray:
        """Return film i, uint8 `[H, W]`. Called from several threads at once."""
        ...

    def labels(self, task: str) -> np.ndarray:
        """Return float32 `[N]`: 1, 0 or NaN."""
        ...


class LoadingError(RuntimeError):
    """A film or text could not be made into a batch. The message names numbers only, never a file or a patient."""


def default_threads() -> int:
    """Return how many threads make batches: the cores this process may use, less one for the trainer, 1 to 8."""
    return max(1, min(8, usable_cores() - 1))


class BatchSource:
    """The training batches of one rank.

    Global batch g of an epoch is a function of (seed, epoch, g); rank r of W holds its r-th contiguous part. Neither
    the number of ranks nor of threads changes any pixel, and `position` is all that a resumed run needs.

    Attributes:
        steps_per_epoch: global batches in an epoch.
        num_films: films that take part.
        num_units: films, studies or patients that take part; fewer than a batch holds are repeated in it.
    """

    def __init__(
        self,
        dataset: FilmSource,
        ordinals: np.ndarray,
        *,
        size: int,
        global_batch_size: int,
        seed: int,
        augmentation: Augmentation,
        views: int = 1,
        unit: ScoringUnit = "Image",
        rank: int = 0,
        world_size: int = 1,
        tasks: Sequence[str] = (),
        texts: TokenizedTexts | None = None,
        threads: int | None = None,
        batches_ahead: int = 4,
        min_steps_per_epoch: int = 1,
    ) -> None:
        """Prepare the batches.

        Args:
            dataset: films, labels, and numbers of studies and patients.
            ordinals: films that may take part. With `texts`, those whose report offers no text are left out.
            size: side of a view in pixels.
            global_batch_size: films in a batch over all ranks.
            seed: of the run.
            augmentation: how far a view may differ from its film.
            views: views of each film: 2 for contrasting views, else 1.
            unit: one film of each unit takes part in an epoch, drawn anew in each.
            rank: 0 to `world_size` - 1.
            world_size: number of ranks; divides the global batch.
            tasks: whose labels are in a batch, in this order.
            texts: the reports' texts.
            threads: number of threads that make batches; None: `default_threads()`.
            batches_ahead: how many batches may wait ready, which bounds the memory used.
            min_steps_per_epoch: where one pass over the films has fewer, an epoch is as many passes as it takes.

        Raises:
            ValueError: no film is left, or the ranks do not divide the global batch.
        """
        if global_batch_size % world_size:
            raise ValueError(f"{world_size} ranks do not divide a global batch of {global_batch_size} films")
        ordinals = np.asarray(ordinals, dtype=np.int64)
        if texts is not None:
            ordinals = ordinals[texts.texts.usable[ordinals]]
        order = EpochOrder(ordinals, _units(dataset, unit)[ordinals], batch_size=global_batch_size, seed=seed)
        part = global_batch_size // world_size
        self._passes_per_epoch = max(1, -(-min_steps_per_epoch // order.steps_per_epoch))
        self.steps_per_epoch = self._passes_per_epoch * order.steps_per_epoch
        self.num_films, self.num_units = len(ordinals), order.num_units
        self.position = Position()
        self._order = order
        self._part = slice(rank * part, (rank + 1) * part)
        self._maker = _BatchMaker(dataset, size, seed, augmentation, views, tasks, texts)
        self._prefetcher: Prefetcher[Batch] = Prefetcher(
            threads=threads or default_threads(), ahead=batches_ahead
        )

    @property
    def wait_seconds(self) -> float:
        """How long the trainer waited for the latest batch."""
        return self._prefetcher.wait_seconds

    @property
    def total_wait_seconds(self) -> float:
        """How long the trainer has waited for data so far."""
        return self._prefetcher.total_wait_seconds

    def epoch(self, epoch: int, first_step: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches of one epoch from `first_step` on; `position` says what comes after the batch yielded.

        Raises:
            LoadingError: in place of the batch that could not be made.
        """
        # The order's epochs are passes here. They are numbered through all epochs, so that a film is never varied twice in the same way.
        first_pass = epoch * self._passes_per_epoch
        rows = [self._order.batches(first_pass + number) for number in range(self._passes_per_epoch)]

        def make(step: int) -> Batch:
            number, row = divmod(step, self._order.steps_per_epoch)
            return self._maker.make(rows[number][row], self._part, first_pass + number, step)

        for step, batch in enumerate(
            self._prefetcher.items(make, first_step, self.steps_per_epoch), start=first_step
        ):
            last = step + 1 == self.steps_per_epoch
            self.position = Position(epoch + 1, 0) if last else Position(epoch, step + 1)
            yield batch

    def close(self) -> None:
        """Stop the threads. Idempotent."""
        self._prefetcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def evaluation_batches(
    dataset: FilmSource,
    ordinals: np.ndarray,
    *,
    size: int,
    batch_size: int,
    threads: int | None = None,
    batches_ahead: int = 4,
) -> Generator[Batch, None, None]:
    """Yield `images` (the standard view, V = 1) and `ordinals` of the films given, in their order.

    Nothing is left out: the last batch holds what remains.

    Raises:
        LoadingError: in place of the batch that could not be made.
    """
    ordinals = np.asarray(ordinals, dtype=np.int64)

    def make(number: int) -> Batch:
        chosen = ordinals[number * batch_size : (number + 1) * batch_size]
        images = np.empty((len(chosen), 1, size, size), dtype=np.uint8)
        for row, ordinal in enumerate(chosen):
            try:
                images[row, 0] = standard_view(dataset.film(int(ordinal)), size)
            except Exception as error:
                raise LoadingError(
                    f"film {ordinal} could not be made into a standard view: {error}"
                ) from error
        return {"images": torch.from_numpy(images), "ordinals": torch.from_numpy(chosen)}

    prefetcher: Prefetcher[Batch] = Prefetcher(threads=threads or default_threads(), ahead=batches_ahead)
    try:
        yield from prefetcher.items(make, 0, -(-len(ordinals) // batch_size))
    finally:
        prefetcher.close()


def _units(dataset: FilmSource, unit: ScoringUnit) -> np.ndarray:
    if unit == "Image":
        return np.arange(len(dataset))
    return np.asarray(dataset.studies if unit == "Study" else dataset.patients)


class _BatchMaker:
    """Makes any batch of any epoch, alone; used by several threads at once."""

    def __init__(
        self,
        dataset: FilmSource,
        size: int,
        seed: int,
        augmentation: Augmentation,
        views: int,
        tasks: Sequence[str],
        texts: TokenizedTexts | None,
    ) -> None:
        self._dataset = dataset
        self._size = size
        self._seed = seed
        self._augmentation = augmentation
        self._views = views
        self._labels = np.stack([dataset.labels(task) for task in tasks], axis=1) if tasks else None
        self._texts = texts

    def make(self, films: np.ndarray, part: slice, epoch: int, step: int) -> Batch:
        """Return this rank's `part` of the global batch whose film ordinals are `films`."""
        ordinals = films[part]
        batch = {"images": self._images(ordinals, epoch, step), "ordinals": torch.from_numpy(ordinals.copy())}
        if self._labels is not None:
            batch["labels"] = torch.from_numpy(self._labels[ordinals].astype(np.float32, copy=False))
        if self._texts is not None:
            batch.update(self._text(self._texts, films, part, epoch))
        return batch

    def _images(self, ordinals: np.ndarray, epoch: int, step: int) -> torch.Tensor:
        images = np.empty((len(ordinals), self._views, self._size, self._size), dtype=np.uint8)
        for row, ordinal in enumerate(ordinals.tolist()):
            try:
                film = self._dataset.film(ordinal)
                for view in range(self._views):
                    key = (self._seed, epoch, ordinal, view)
                    images[row, view] = augment(film, self._size, self._augmentation, key)
            except Exception as error:
                raise LoadingError(f"epoch {epoch}, step {step}: film {ordinal} failed: {error}") from error
        return torch.from_numpy(images)

    def _text(self, texts: TokenizedTexts, films: np.ndarray, part: slice, epoch: int) -> Batch:
        numbers = [texts.texts.choose(self._seed, epoch, ordinal) for ordinal in films.tolist()]
        ids, mask = texts.padded(numbers[part], among=numbers)
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
            "text_group": torch.from_numpy(texts.texts.groups[numbers[part]]),
            "study_text_groups": torch.from_numpy(
                _padded([texts.texts.groups_of_study(i) for i in films.tolist()])[part]
            ),
        }


def _padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of different length as one table, -1 behind the shorter ones. Of the global batch: G is one on all ranks."""
    table = np.full((len(rows), max(map(len, rows))), -1, dtype=np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
