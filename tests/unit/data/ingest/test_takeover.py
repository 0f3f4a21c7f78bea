"""Films that an earlier ingest has decoded are taken over; only what is new is decoded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chex_api.dataset import Dataset
from chex_jobs.artifacts import ArtifactStore, CorruptArtifact, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.ingest import chunks
from chex_jobs.data.ingest import ingest as ingest_module
from chex_jobs.data.ingest.ingest import ingest
from tests.unit.data.films import drawn_film, hospital_dataset, png, write_csv, write_hospital


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ingest_module, "films_per_shard", lambda _: 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the films that are decoded, as they are read."""
    keys: list[str] = []
    reading = chunks._read_ahead  # pyright: ignore[reportPrivateUsage]

    def spying(read: Any, wanted: Any) -> Any:
        keys.extend(wanted)
        return reading(read, wanted)

    monkeypatch.setattr(chunks, "_read_ahead", spying)
    return keys


def run(
    dataset: Dataset, artifacts: Path, identity: str, attempt: str = "first", **kind: Any
) -> FinishedArtifact:
    artifact = ArtifactStore.open(artifacts.as_uri()).stage("ingest", dataset.name, identity * 64)
    return ingest(dataset, seed=0, attempt=artifact.attempt(attempt), **kind)


def with_more_films(root: Path, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Two films whose names sort before and among those that are there."""
    more = [
        {**rows[0], "file": f"{name}.png", "patient": f"patient-{name}", "study": name}
        for name in ("a", "film-0055")
    ]
    for number, row in enumerate(more):
        (root / "films" / str(row["file"])).write_bytes(png(drawn_film(50 + number)))
    write_csv(root / "data.csv", [*rows, *more])
    return [*rows, *more]


def pictures(done: FinishedArtifact) -> list[np.ndarray]:
    data = ChestXrayDataset.open(done)
    return [data.film(ordinal).copy() for ordinal in range(len(data))]


def test_of_a_table_that_grew_only_the_new_films_are_decoded(tmp_path: Path, decoded: list[str]):
    root = tmp_path / "hospital"
    rows = write_hospital(root)
    run(hospital_dataset(root), tmp_path / "kept", "a")
    decoded.clear()
    with_more_films(root, rows)
    grown = run(hospital_dataset(root), tmp_path / "kept", "b")
    assert decoded == ["films/a.png", "films/film-0055.png"]
    decoded.clear()
    anew = run(hospital_dataset(root), tmp_path / "anew", "b")
    assert len(decoded) == 14
    for taken, own in zip(pictures(grown), pictures(anew), strict=True):
        np.testing.assert_array_equal(taken, own)
    assert grown.summary == anew.summary


def test_a_third_ingest_lists_films_where_the_first_one_left_them(tmp_path: Path, decoded: list[str]):
    root = tmp_path / "hospital"
    rows = write_hospital(root)
    first = run(hospital_dataset(root), tmp_path, "a")
    run(hospital_dataset(root, name="renamed", unit="Patient"), tmp_path, "b")
    decoded.clear()
    with_more_films(root, rows)
    third = run(hospital_dataset(root), tmp_path, "c")
    assert decoded == ["films/a.png", "films/film-0055.png"]
    owners = {record.shared.partition("/attempts/")[0] for record in third.files.values() if record.shared}
    assert owners == {first.folder}


def test_a_film_that_cannot_be_used_is_not_looked_at_again_until_its_file_changes(
    tmp_path: Path, decoded: list[str]
):
    root = tmp_path / "hospital"
    write_hospital(root)
    film = root / "films" / "film-003.png"
    film.write_bytes(b"<html>no such film</html>")
    kind = {"quarantine": {"maxShare": 0.5}}
    run(hospital_dataset(root, **kind), tmp_path, "a")
    decoded.clear()
    assert run(hospital_dataset(root, **kind), tmp_path, "b").summary["quarantined"] == {"Unreadable": 1}
    assert decoded == []
    film.write_bytes(png(drawn_film(3)))
    assert run(hospital_dataset(root, **kind), tmp_path, "c").summary["quarantined"] == {}
    assert decoded == ["films/film-003.png"]


def test_films_stored_in_another_size_are_decoded_again(tmp_path: Path, decoded: list[str]):
    root = tmp_path / "hospital"
    write_hospital(root)
    run(hospital_dataset(root), tmp_path, "a")
    decoded.clear()
    run(hospital_dataset(root, storedShortSide=40), tmp_path, "b")
    assert len(decoded) == 12


class Killed(Exception):
    """Stands for the end of the process."""


def test_an_ingest_killed_while_it_decodes_what_is_new_goes_on_with_what_it_had(
    tmp_path: Path, decoded: list[str]
):
    root = tmp_path / "hospital"
    rows = write_hospital(root, 7)
    run(hospital_dataset(root), tmp_path, "a")
    write_hospital(root, 19)
    decoded.clear()

    def killed(progress: ingest_module.IngestProgress) -> None:
        if progress.films_done >= 12:
            raise Killed

    with pytest.raises(Killed):
        run(hospital_dataset(root), tmp_path, "b", on_progress=killed)
    assert len(decoded) == 5
    done = run(hospital_dataset(root), tmp_path, "b", "second")
    assert len(decoded) == 12
    assert done.summary["films"] == 19
    assert len(rows) == 7


def test_films_whose_shard_is_gone_are_decoded_again(tmp_path: Path, decoded: list[str]):
    root = tmp_path / "hospital"
    write_hospital(root)
    first = run(hospital_dataset(root), tmp_path, "a")
    (tmp_path / first.folder / first.files["shards/shard-00001.npy"].key).unlink()
    decoded.clear()
    run(hospital_dataset(root), tmp_path, "b")
    assert decoded == [f"films/film-{number:03d}.png" for number in range(5, 10)]


def test_a_damaged_film_of_another_ingest_is_an_error_that_names_both_manifests(tmp_path: Path):
    root = tmp_path / "hospital"
    write_hospital(root)
    first = run(hospital_dataset(root), tmp_path, "a")
    second = run(hospital_dataset(root), tmp_path, "b")
    shard = tmp_path / first.folder / first.files["shards/shard-00000.npy"].key
    content = bytearray(shard.read_bytes())
    content[-5] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(CorruptArtifact) as caught:
        ChestXrayDataset.open(second).film(0)
    assert first.manifest_uri in str(caught.value)
    assert second.manifest_uri in str(caught.value)
