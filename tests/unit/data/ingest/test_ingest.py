"""Ingest in this process: what it leaves, what it sets aside, and that kills and order leave no trace."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chex_api.dataset import Dataset
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.data.dataset import index
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.decoding.decode import decode_film
from chex_jobs.data.errors import QuarantineError, SourceError
from chex_jobs.data.ingest import chunks
from chex_jobs.data.ingest import ingest as ingest_module
from chex_jobs.data.ingest.chunks import Chunk, ChunkResult
from chex_jobs.data.ingest.ingest import IngestProgress, in_process, ingest
from chex_jobs.data.splits.assignment import roles
from tests.unit.data.films import (
    dicom,
    drawn_film,
    hospital_dataset,
    jpeg,
    label_references,
    opened,
    png,
    write_csv,
    write_hospital,
)

IDENTITY = "a" * 64


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five films a shard, so that a dozen films make several chunks."""
    monkeypatch.setattr(ingest_module, "films_per_shard", lambda _: 5)


@pytest.fixture(autouse=True, scope="module")
def one_decoder() -> Iterator[None]:
    """Keep the decoding process from test to test: starting it takes longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "close_decoder", lambda: None)
        yield
    chunks.close_decoder()


def run(dataset: Dataset, artifacts: Path, attempt_id: str = "first", **kind: Any) -> FinishedArtifact:
    attempt = (
        ArtifactStore.open(artifacts.as_uri()).stage("ingest", dataset.name, IDENTITY).attempt(attempt_id)
    )
    return ingest(dataset, seed=0, attempt=attempt, **kind)


def run_with_labels(dataset: Dataset, artifacts: Path) -> ChestXrayDataset:
    return opened(run(dataset, artifacts, labels=label_references(dataset)), dataset)


def contents(done: FinishedArtifact) -> dict[str, str]:
    """SHA-256 of every file by path."""
    return {path: record.sha256 for path, record in done.files.items()}


def quarantined(done: FinishedArtifact) -> dict[str, str]:
    table = index.from_parquet(done.read_bytes(index.QUARANTINE))
    return dict(zip(table["file"].to_pylist(), table["reason"].to_pylist(), strict=True))


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    write_hospital(tmp_path / "hospital")
    return tmp_path / "hospital"


def test_every_film_is_stored_as_it_decodes_with_its_labels_and_report(hospital: Path, tmp_path: Path):
    data = run_with_labels(hospital_dataset(hospital), tmp_path)
    assert len(data) == 12
    for ordinal in range(12):
        np.testing.assert_array_equal(data.film(ordinal), decode_film(png(drawn_film(ordinal)), 32))
    assert data.films([7, 2])[0].shape == (38, 32)
    assert data.labels("icu").tolist() == [0, 0, 1, 1] * 3
    assert data.reports()[4] == "Film number 4 is drawn."
    assert data.patients.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert data.studies.tolist() == list(range(12))
    assert data.metadata["view"].to_pylist() == ["AP", "PA"] * 6
    assert data.metadata["sex"].to_pylist() == ["f", "f", "m", "m"] * 3
    assert set(data.views) == {"Frontal"}
    assert data.has_report.all()
    assert sorted(np.concatenate(list(roles(data)))) == list(range(12))


def test_nothing_outside_the_private_prefix_names_a_patient_a_file_or_a_report(
    hospital: Path, tmp_path: Path
):
    done = run(hospital_dataset(hospital), tmp_path)
    shared = b"".join(done.read_bytes(path) for path in done.files if not path.startswith("private/"))
    shared += (tmp_path / done.folder / "manifest.json").read_bytes()
    for private in (b"patient-1", b"film-001", b"study-1", b"is drawn"):
        assert private not in shared


def test_the_result_is_the_same_in_any_order_of_chunks(hospital: Path, tmp_path: Path):
    def backwards(
        function: Callable[[Chunk], ChunkResult], items: Iterable[Chunk], /
    ) -> Generator[ChunkResult]:
        yield from in_process(function, reversed(list(items)))

    forwards = run(hospital_dataset(hospital), tmp_path / "forwards")
    assert contents(run(hospital_dataset(hospital), tmp_path / "back", mapper=backwards)) == contents(
        forwards
    )


def test_an_ingest_in_this_process_leaves_no_decoder_behind(
    hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ingest_module, "close_decoder", chunks.close_decoder)
    run(hospital_dataset(hospital), tmp_path)
    assert chunks._decoders == []


class Killed(Exception):
    """Stands for the end of the process."""


def killed_after(films: int) -> Callable[[IngestProgress], None]:
    def on_progress(progress: IngestProgress) -> None:
        if progress.films_done >= films:
            raise Killed

    return on_progress


def test_a_killed_ingest_goes_on_with_the_chunks_it_had_and_ends_in_the_same_bytes(
    hospital: Path, tmp_path: Path
):
    undisturbed = run(hospital_dataset(hospital), tmp_path / "undisturbed")
    with pytest.raises(Killed):
        run(hospital_dataset(hospital), tmp_path / "killed", on_progress=killed_after(10))
    resumed = run(hospital_dataset(hospital), tmp_path / "killed", "second")
    assert contents(resumed) == contents(undisturbed)
    assert [resumed.files[f"shards/shard-{n:05d}.npy"].attempt for n in range(3)] == [
        "first",
        "first",
        "second",
    ]


def test_a_film_that_was_mended_since_is_decoded_again_with_its_chunk_alone(hospital: Path, tmp_path: Path):
    undisturbed = run(hospital_dataset(hospital), tmp_path / "undisturbed")
    film = hospital / "films" / "film-001.png"
    sound = film.read_bytes()
    film.write_bytes(bytes(len(sound)))  # as long as the sound one: its size says nothing
    with pytest.raises(Killed):
        run(
            hospital_dataset(hospital, quarantine={"maxShare": 0.1}),
            tmp_path / "bad",
            on_progress=killed_after(10),
        )
    film.write_bytes(sound)
    mended = run(hospital_dataset(hospital, quarantine={"maxShare": 0.1}), tmp_path / "bad", "second")
    assert contents(mended) == contents(undisturbed)
    assert [mended.files[f"shards/shard-{n:05d}.npy"].attempt for n in range(3)] == [
        "second",
        "first",
        "second",
    ]


def test_an_ingest_that_too_many_faults_stopped_passes_once_the_films_are_mended(
    hospital: Path, tmp_path: Path
):
    films = sorted((hospital / "films").iterdir())[:3]
    sound = [film.read_bytes() for film in films]
    for film in films:
        film.write_bytes(b"")
    with pytest.raises(QuarantineError):
        run(hospital_dataset(hospital), tmp_path)
    for film, content in zip(films, sound, strict=True):
        film.write_bytes(content)
    assert run(hospital_dataset(hospital), tmp_path, "second").summary["films"] == 12


def test_a_chunk_whose_shard_was_damaged_is_decoded_again(
    hospital: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    undisturbed = run(hospital_dataset(hospital), tmp_path / "undisturbed")
    with pytest.raises(Killed):
        run(hospital_dataset(hospital), tmp_path / "killed", on_progress=killed_after(10))
    (shard,) = (tmp_path / "killed").rglob("shard-00000.npy")
    damaged = bytearray(shard.read_bytes())
    damaged[-1] ^= 1
    shard.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        resumed = run(hospital_dataset(hospital), tmp_path / "killed", "second")
    assert contents(resumed) == contents(undisturbed)
    assert resumed.files["shards/shard-00000.npy"].attempt == "second"
    assert "chunk 0 is decoded again" in caplog.text


def test_a_record_that_was_cut_off_or_belongs_to_other_films_is_not_taken_over(
    hospital: Path, tmp_path: Path
):
    with pytest.raises(Killed):
        run(hospital_dataset(hospital), tmp_path, on_progress=killed_after(10))
    first, second = sorted(tmp_path.rglob("chunk-*.json"))
    first.write_bytes(first.read_bytes()[:100])
    second.rename(second.with_name("chunk-00002.json"))
    done = run(hospital_dataset(hospital), tmp_path, "second")
    assert {record.attempt for record in done.files.values()} == {"second"}


def test_a_finished_chunk_is_not_decoded_twice_by_the_same_attempt(
    hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(hospital_dataset(hospital), tmp_path)
    monkeypatch.setattr(chunks, "_decoded", lambda _: pytest.fail("decoded again"))
    run(hospital_dataset(hospital), tmp_path)


def test_films_that_cannot_be_used_are_set_aside_with_their_reasons(hospital: Path, tmp_path: Path):
    films = hospital / "films"
    (films / "film-000.png").unlink()
    (films / "film-001.png").write_bytes(b"")
    (films / "film-002.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    (films / "film-003.png").write_bytes(png(drawn_film(3))[:-30])
    (films / "film-004.png").write_bytes(b"<html>no such film</html>")
    rows = write_table_with(hospital, 5, report="version https://git-lfs.github.com/spec/v1\noid sha256:00")
    rows[6]["patient"] = " "
    write_csv(hospital / "data.csv", rows)
    (films / "film-008.png").write_bytes((films / "film-009.png").read_bytes())
    (films / "film-010.png").write_bytes((films / "film-007.png").read_bytes())
    done = run(hospital_dataset(hospital, quarantine={"maxShare": 1.0}), tmp_path)
    assert quarantined(done) == {
        "films/film-000.png": "MissingFile",
        "films/film-001.png": "Empty",
        "films/film-002.png": "GitLfsPointer",
        "films/film-003.png": "Truncated",
        "films/film-004.png": "Unreadable",
        "films/film-005.png": "GitLfsPointer",
        "films/film-006.png": "MissingPatient",
        "films/film-007.png": "Duplicate",
        "films/film-009.png": "Duplicate",
        "films/film-010.png": "Duplicate",
    }
    assert done.summary["films"] == 2
    assert done.summary["quarantined"]["Duplicate"] == 3
    data = ChestXrayDataset.open(done)
    np.testing.assert_array_equal(data.film(1), decode_film(png(drawn_film(11)), 32))


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        ("1", "0", np.nan),
        ("0", "1", np.nan),
        ("1", "1", 1.0),
        ("", "1", 1.0),
        ("0", "", 0.0),
        ("", "", np.nan),
    ],
)
def test_no_film_of_a_patient_decides_the_label_for_an_equal_one(
    hospital: Path, tmp_path: Path, first: str, second: str, label: float
):
    """The same picture saved twice, with an answer each: they agree, or nobody knows."""
    rows = write_hospital(hospital)
    films = hospital / "films"
    rows[1] |= {"patient": rows[0]["patient"], "icu": second}
    rows[0] |= {"icu": first}
    rows[2] |= {"icu": "1"}
    write_csv(hospital / "data.csv", rows)
    (films / "film-001.png").write_bytes((films / "film-000.png").read_bytes())
    task = {
        "name": "icu",
        "column": "icu",
        "positive": {"values": ["1"]},
        "negativeValues": ["0"],
        "blank": "Ignore",
    }
    dataset = hospital_dataset(hospital, quarantine={"maxShare": 1.0}, tasks=[task])
    data = run_with_labels(dataset, tmp_path)
    assert len(data) == len(rows) - 1
    np.testing.assert_equal(float(data.labels("icu")[0]), label)


def write_table_with(hospital: Path, row: int, **cells: object) -> list[dict[str, object]]:
    """Change one row of the hospital's table; return all rows."""
    pictures = {path: path.read_bytes() for path in (hospital / "films").iterdir()}
    rows = write_hospital(hospital)
    for path in (hospital / "films").iterdir():
        if path in pictures:
            path.write_bytes(pictures[path])
        else:
            path.unlink()
    rows[row] |= cells
    write_csv(hospital / "data.csv", rows)
    return rows


def test_a_bomb_of_40000_x_40000_pixels_lands_in_quarantine(hospital: Path, tmp_path: Path):
    header = bytearray(png(drawn_film(0)))
    header[16:24] = (40_000).to_bytes(4, "big") * 2
    (hospital / "films" / "film-003.png").write_bytes(header)
    done = run(hospital_dataset(hospital, quarantine={"maxShare": 0.1}), tmp_path)
    assert quarantined(done) == {"films/film-003.png": "TooManyPixels"}


def test_png_jpeg_and_dicom_films_stand_side_by_side(hospital: Path, tmp_path: Path):
    (hospital / "films" / "film-001.png").write_bytes(jpeg(drawn_film(1)))
    (hospital / "films" / "film-002.png").write_bytes(dicom(drawn_film(2).astype(np.uint16) * 16))
    data = ChestXrayDataset.open(run(hospital_dataset(hospital), tmp_path))
    for ordinal in (1, 2):
        expected = decode_film(png(drawn_film(ordinal)), 32).astype(int)
        assert np.abs(data.film(ordinal) - expected).max() <= 6


def test_too_many_faults_stop_the_ingest_with_counts_only_and_leave_the_list(hospital: Path, tmp_path: Path):
    for number in range(3):
        (hospital / "films" / f"film-{number:03d}.png").write_bytes(b"")
    with pytest.raises(
        QuarantineError, match=r"3 of 12 films \(25.0%\).*Empty 3.*maxShare allows 20.0%"
    ) as caught:
        run(hospital_dataset(hospital, quarantine={"maxShare": 0.2}), tmp_path)
    assert "film-0" not in str(caught.value)
    (table,) = tmp_path.rglob("quarantine.parquet")
    assert index.from_parquet(table.read_bytes()).num_rows == 3


def test_the_share_of_faults_that_is_allowed_is_allowed(hospital: Path, tmp_path: Path):
    for number in range(3):
        (hospital / "films" / f"film-{number:03d}.png").write_bytes(b"")
    assert run(hospital_dataset(hospital, quarantine={"maxShare": 0.25}), tmp_path).summary["films"] == 9


def test_an_ingest_that_cannot_succeed_any_more_does_not_decode_the_rest(hospital: Path, tmp_path: Path):
    for film in (hospital / "films").iterdir():
        film.write_bytes(b"")
    seen: list[IngestProgress] = []
    with pytest.raises(QuarantineError):
        run(hospital_dataset(hospital), tmp_path, on_progress=seen.append)
    assert seen[-1].films_done == 5


def test_a_data_set_without_one_usable_film_is_an_error_whatever_is_allowed(hospital: Path, tmp_path: Path):
    for film in (hospital / "films").iterdir():
        film.write_bytes(b"")
    with pytest.raises(QuarantineError, match="none of 12 films can be used"):
        run(hospital_dataset(hospital, quarantine={"maxShare": 1.0}), tmp_path)


def test_other_views_are_left_out_and_counted_but_are_no_faults(hospital: Path, tmp_path: Path):
    table = hospital_dataset(hospital).source.plain()["table"]
    table["view"] = {"column": "view", "frontal": ["ap"], "lateral": ["pa"]}
    done = run(hospital_dataset(hospital, source={"table": table}), tmp_path)
    assert done.summary["films"] == 6
    assert done.summary["left_out"] == {"another view": 6}
    assert done.summary["quarantined"] == {}


def test_no_film_of_the_views_asked_for_is_an_error(hospital: Path, tmp_path: Path):
    with pytest.raises(SourceError, match="none of 12 films has a view of Lateral"):
        run(hospital_dataset(hospital, views=["Lateral"]), tmp_path)


def test_progress_counts_films_from_none_to_all(hospital: Path, tmp_path: Path):
    (hospital / "films" / "film-000.png").unlink()
    seen: list[IngestProgress] = []
    run(hospital_dataset(hospital, quarantine={"maxShare": 0.5}), tmp_path, on_progress=seen.append)
    assert [(p.films_done, p.films_total, p.quarantined) for p in seen] == [
        (1, 12, 1),
        (6, 12, 1),
        (11, 12, 1),
        (12, 12, 1),
    ]


def test_folds_and_counts_of_each_are_in_the_summary(hospital: Path, tmp_path: Path):
    done = run(hospital_dataset(hospital, split={"groupedFolds": 3}), tmp_path)
    data = ChestXrayDataset.open(done)
    assert data.num_folds == 3
    parts = done.summary["parts"]
    assert set(parts) == {"fold-0", "fold-1", "fold-2"}
    assert sum(part["films"] for part in parts.values()) == 12
    assert {part["patients"] for part in parts.values()} == {2}


def test_a_phantom_is_ingested_without_files(tmp_path: Path):
    plain = {
        "name": "phantom",
        "source": {"phantom": {"patients": 8, "size": 32}},
        "split": {"patients": {}},
        "tasks": [{"name": "effusion", "column": "Effusion", "positive": {"values": ["1"]}}],
    }
    data = ChestXrayDataset.open(run(Dataset.parse(plain), tmp_path))
    assert len(data) >= 8
    assert min(data.film(0).shape) == 32
    assert any(data.reports())
