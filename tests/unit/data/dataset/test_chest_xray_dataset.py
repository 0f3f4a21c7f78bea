"""Reading what ingest left."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from chex_jobs.artifacts import ArtifactStore, CorruptArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.shards import (
    FILMS_PER_SHARD,
    ShardSlot,
    encode_shard,
    film_at,
    films_per_shard,
    open_shard,
)
from chex_jobs.data.errors import DatasetError, ShardError
from chex_jobs.data.ingest.ingest import ingest
from tests.unit.data.films import drawn_film, hospital_dataset, label_references, opened, write_hospital


@pytest.fixture
def data(tmp_path: Path) -> ChestXrayDataset:
    write_hospital(tmp_path / "hospital")
    attempt = ArtifactStore.open(tmp_path.as_uri()).stage("ingest", "hospital", "b" * 64).attempt("first")
    dataset = hospital_dataset(tmp_path / "hospital")
    return opened(ingest(dataset, seed=0, attempt=attempt, labels=label_references(dataset)), dataset)


def test_a_data_set_pickles_as_its_artifact(data: ChestXrayDataset):
    data.film(0)
    copy = pickle.loads(pickle.dumps(data))
    assert len(pickle.dumps(data)) < 20_000
    np.testing.assert_array_equal(copy.film(3), data.film(3))


def test_films_can_be_read_by_many_threads(data: ChestXrayDataset):
    expected = [data.film(ordinal).copy() for ordinal in range(len(data))]
    fresh = pickle.loads(pickle.dumps(data))
    with ThreadPoolExecutor(8) as pool:
        for ordinal, film in zip(list(range(12)) * 8, pool.map(fresh.film, list(range(12)) * 8), strict=True):
            np.testing.assert_array_equal(film, expected[ordinal])


def test_a_film_cannot_be_written_to(data: ChestXrayDataset):
    with pytest.raises(ValueError, match="read-only"):
        data.film(0)[0, 0] = 1


def test_an_unknown_task_is_an_error_that_lists_the_known(data: ChestXrayDataset):
    assert data.task_names == ["icu"]
    with pytest.raises(DatasetError, match="'hospital' has no task 'death'; it has icu"):
        data.labels("death")


def test_equal_films_have_equal_digests_and_others_do_not(data: ChestXrayDataset):
    assert len(set(data.film_sha256)) == 12


def test_a_damaged_shard_is_an_error_and_never_a_picture(data: ChestXrayDataset, tmp_path: Path):
    (shard,) = tmp_path.rglob("shard-*.npy")
    content = bytearray(shard.read_bytes())
    content[-5] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(CorruptArtifact):
        data.film(0)


def test_a_shard_gives_back_films_of_any_size(tmp_path: Path):
    films = [drawn_film(number, 20 + number, 30) for number in range(3)]
    content, places = encode_shard(films)
    (tmp_path / "shard.npy").write_bytes(content)
    shard = open_shard(tmp_path / "shard.npy")
    for film, place in zip(films, places, strict=True):
        np.testing.assert_array_equal(film_at(shard, place), film)


def test_a_place_beyond_the_end_of_its_shard_is_an_error():
    with pytest.raises(ShardError, match="ends at byte 100 of 50"):
        film_at(np.zeros(50, np.uint8), ShardSlot(0, 10, 10))


@pytest.mark.parametrize("content", [b"", b"not numpy", b"\x93NUMPY\x01\x00"])
def test_what_is_no_array_is_no_shard(tmp_path: Path, content: bytes):
    (tmp_path / "shard.npy").write_bytes(content)
    with pytest.raises(ShardError, match=r"shard.npy is no readable shard"):
        open_shard(tmp_path / "shard.npy")


def test_an_array_of_another_type_is_no_shard(tmp_path: Path):
    np.save(tmp_path / "shard.npy", np.zeros((2, 2), np.float32))
    with pytest.raises(ShardError, match="float32 of 2 dimensions"):
        open_shard(tmp_path / "shard.npy")


@pytest.mark.parametrize(
    ("short_side", "films"), [(32, FILMS_PER_SHARD[1]), (512, 409), (2048, FILMS_PER_SHARD[0])]
)
def test_shards_have_some_hundred_films(short_side: int, films: int):
    assert films_per_shard(short_side) == films
