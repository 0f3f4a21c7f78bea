"""Films per second into a training step: our loading against what people do without it, in one run, as ratios.

    python tests/benchmarks/loading_throughput.py [--size 224] [--workers 2] [--seconds 6]

Both sides give augmented uint8 views of the same size from the same pictures of 2,000 x 2,500 pixels, with as many workers:

- shards: `BatchSource` over a shard of short side 512, as ingest leaves it (goal: at least 20 times the first rival);
- JPEG: a torch DataLoader that decodes each picture whole, then makes the same view;
- JPEG, scaled decode: the same, but letting the decoder skip detail, which is the best a rival can do without ingest;
- processes: a torch DataLoader with spawned processes over the shard, because loading here uses threads.

Seen once, at 224 pixels with two workers on two busy cores: 1,527 films/s, 39 times the JPEG rival, 35 times scaled
decoding and 0.75 times the processes. `phantom_difficulty.py` waited for data 0.1 of 44 seconds (64 pixels, one thread).

`--with-training` also trains chex-densenet-small on the batches, with each of the two loaders and with none.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from chex_api.encoder import ImageEncoder
from chex_api.pretraining import Augmentation
from chex_jobs.data.dataset.shards import ShardSlot, encode_shard, film_at, open_shard
from chex_jobs.data.loading.augmentation import augment
from chex_jobs.data.loading.batch_source import BatchSource
from chex_jobs.data.phantom.generator import PhantomArchive
from chex_jobs.data.phantom.settings import PhantomSettings
from chex_jobs.models import build_image_encoder

NUM_PICTURES = 16
NUM_FILMS = 4096  # in the shards' data set: the pictures, over and over
HEIGHT, WIDTH, SHORT_SIDE = 2500, 2000, 512
BATCH = 64
JPEG_BATCH = 8  # a batch of 64 would take a worker seconds, and the measurement with it


def write_pictures(folder: Path) -> None:
    """Write NUM_PICTURES JPEGs (about 1.4 MB each: grain as of a film) and their shard."""
    archive = PhantomArchive(PhantomSettings(patients=NUM_PICTURES, size=512))
    films = []
    rng = np.random.default_rng(0)
    for number in range(NUM_PICTURES):
        picture = cv2.resize(archive.film(number), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 6, picture.shape).astype(np.float32)
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        films.append(
            cv2.resize(picture, (SHORT_SIDE, SHORT_SIDE * HEIGHT // WIDTH), interpolation=cv2.INTER_AREA)
        )
    (folder / "shard.npy").write_bytes(encode_shard(films)[0])


class Jpegs(Dataset):
    """The rival: one picture decoded for each item."""

    def __init__(self, folder: Path, size: int, flags: int) -> None:
        self._folder, self._size, self._flags = folder, size, flags

    def __len__(self) -> int:
        return NUM_FILMS

    def __getitem__(self, i: int) -> torch.Tensor:
        picture = cv2.imread(str(self._folder / f"{i % NUM_PICTURES}.jpg"), self._flags)
        assert picture is not None
        return torch.from_numpy(augment(picture, self._size, Augmentation(), (0, 0, i, 0)))


class ShardFilms(Dataset):
    """A shard's films: a film source for `BatchSource`, and a torch data set for the other loader."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._shard: np.ndarray | None = None
        self.studies = self.patients = np.arange(NUM_FILMS)

    def __len__(self) -> int:
        return NUM_FILMS

    def film(self, i: int) -> np.ndarray:
        if self._shard is None:
            self._shard = open_shard(self._path)
        height = SHORT_SIDE * HEIGHT // WIDTH
        return film_at(self._shard, ShardSlot(i % NUM_PICTURES * height * SHORT_SIDE, height, SHORT_SIDE))

    def labels(self, task: str) -> np.ndarray:
        raise NotImplementedError(task)

    def __getitem__(self, i: int) -> torch.Tensor:
        return torch.from_numpy(augment(self.film(i), self._size, Augmentation(), (0, 0, i, 0)))


def films_per_second(batches: Iterator[torch.Tensor], seconds: float) -> float:
    """Take batches for a while, after four to warm up; return films per second.

    Four, because a loader of two processes has as many ready when the first comes: they were not made in the time taken.
    """
    for batch in itertools.islice(batches, 4):
        assert batch.dtype == torch.uint8
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += len(next(batches))
    return count / (time.perf_counter() - began)


def of_source(films: ShardFilms, size: int, workers: int) -> Iterator[torch.Tensor]:
    """Yield batches of `BatchSource` for ever."""
    with BatchSource(
        films,
        np.arange(NUM_FILMS),
        size=size,
        global_batch_size=BATCH,
        seed=0,
        augmentation=Augmentation(),
        threads=workers,
    ) as source:
        for epoch in itertools.count():
            for batch in source.epoch(epoch):
                yield batch["images"]


def of_loader(data: Dataset, workers: int, batch: int = BATCH) -> Iterator[torch.Tensor]:
    """Yield batches of a torch DataLoader for ever."""
    loader = DataLoader(
        data,
        batch,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="spawn",
        persistent_workers=True,
    )
    while True:
        yield from loader


def training_films_per_second(batches: Iterator[torch.Tensor], size: int, seconds: float) -> float:
    """Train on the batches; return films per second."""
    encoder = build_image_encoder(ImageEncoder(architecture="chex-densenet-small", size=size), 0)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-4)

    def steps() -> Iterator[torch.Tensor]:
        for batch in batches:
            optimizer.zero_grad()
            encoder(batch.reshape(-1, 1, size, size)).square().mean().backward()
            optimizer.step()
            yield batch

    return films_per_second(steps(), seconds)


def main() -> None:
    """Print films per second and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--with-training", action="store_true")
    arguments = parser.parse_args()
    size, workers, seconds = arguments.size, arguments.workers, arguments.seconds

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder)
        films = ShardFilms(folder / "shard.npy", size)
        loaders: dict[str, Callable[[], Iterator[torch.Tensor]]] = {
            "shards": lambda: of_source(films, size, workers),
            "JPEG": lambda: of_loader(Jpegs(folder, size, cv2.IMREAD_GRAYSCALE), workers, JPEG_BATCH),
            "JPEG, scaled decode": lambda: of_loader(
                Jpegs(folder, size, cv2.IMREAD_REDUCED_GRAYSCALE_4), workers, JPEG_BATCH
            ),
            "processes over shards": lambda: of_loader(films, workers),
        }
        print(f"views of {size} pixels, {workers} workers")
        measured = {name: films_per_second(make(), seconds) for name, make in loaders.items()}
        for name, rate in measured.items():
            print(
                f"{name:>24}: {rate:8.0f} films/s   shards are {measured['shards'] / rate:6.1f} times as fast"
            )
        if arguments.with_training:
            fixed = torch.zeros((BATCH, size, size), dtype=torch.uint8)
            beside = {
                "none (one fixed batch)": itertools.repeat(fixed),
                "threads": of_source(films, size, 1),
                "one process": of_loader(films, 1),
            }
            for name, batches in beside.items():
                print(
                    f"training with {name:>23}: {training_films_per_second(batches, size, seconds):8.0f} films/s"
                )


if __name__ == "__main__":
    main()
