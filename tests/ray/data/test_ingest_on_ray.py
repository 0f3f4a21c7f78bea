"""Ingest as Ray tasks: the same bytes as in one process, whatever dies on the way."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chex_api.dataset import Dataset
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact, StorageUnavailable, open_storage
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.errors import TasksFailed
from chex_jobs.data.ingest import ingest as ingest_module
from chex_jobs.data.ingest import ray_mapper
from chex_jobs.data.ingest.ingest import IngestProgress, Mapper, in_process, ingest
from chex_jobs.data.ingest.ray_mapper import RayMapper
from chex_jobs.data.records.film_table import FilmReader
from chex_jobs.data.sources.declaration import declare
from tests.s3.servers import S3Server
from tests.unit.data.films import hospital_dataset, write_hospital

NUM_FILMS = 30


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch, two_core_ray: None) -> None:
    """Five films a shard. Chunks are cut by the driver, so its setting is enough."""
    monkeypatch.setattr(ingest_module, "films_per_shard", lambda _: 5)


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    write_hospital(tmp_path / "hospital", NUM_FILMS)
    (tmp_path / "hospital" / "films" / "film-007.png").write_bytes(b"")
    return tmp_path / "hospital"


def dataset_of(hospital: Path) -> Dataset:
    return hospital_dataset(hospital, quarantine={"maxShare": 0.1})


def run(
    dataset: Dataset,
    artifacts: str,
    attempt_id: str = "first",
    mapper: Mapper | None = None,
    on_progress: Callable[[IngestProgress], None] = lambda _: None,
) -> FinishedArtifact:
    attempt = ArtifactStore.open(artifacts).stage("ingest", dataset.name, "a" * 64).attempt(attempt_id)
    return ingest(dataset, seed=0, attempt=attempt, mapper=mapper or RayMapper(), on_progress=on_progress)


def contents(done: FinishedArtifact) -> dict[str, str]:
    return {path: record.sha256 for path, record in done.files.items()}


def test_ray_tasks_leave_the_same_bytes_as_one_process(hospital: Path, tmp_path: Path):
    alone = run(dataset_of(hospital), f"file://{tmp_path}/alone", mapper=in_process)
    for number, mapper in enumerate((RayMapper(), RayMapper(in_flight=1), RayMapper(in_flight=6))):
        assert contents(
            run(dataset_of(hospital), f"file://{tmp_path}/ray-{number}", mapper=mapper)
        ) == contents(alone)
    assert len(ChestXrayDataset.open(alone)) == NUM_FILMS - 1


@dataclass(frozen=True)
class KillingReader:
    """Kills the process that reads a certain film, for the first time only."""

    reader: FilmReader
    victim: str
    mark: Path

    def read(self, key: str):
        if key == self.victim and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.reader.read(key)


@dataclass(frozen=True)
class DeadlyReader:
    """Kills every process that reads."""

    def read(self, key: str) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError(key)


@dataclass(frozen=True)
class FailingReader:
    """Storage that does not answer."""

    def read(self, key: str) -> bytes:
        raise StorageUnavailable("no answer from s3://hospital")


def with_reader(monkeypatch: pytest.MonkeyPatch, wrap: Callable[[FilmReader], FilmReader]) -> None:
    def declared(dataset: Dataset):
        declaration = declare(dataset)
        return replace(declaration, reader=wrap(declaration.reader))

    monkeypatch.setattr(ingest_module, "declare", declared)


def test_a_worker_killed_in_the_middle_of_a_chunk_costs_that_chunk_only_and_changes_nothing(
    hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    undisturbed = run(dataset_of(hospital), f"file://{tmp_path}/undisturbed", mapper=in_process)
    mark = tmp_path / "killed"
    with_reader(monkeypatch, lambda reader: KillingReader(reader, "films/film-013.png", mark))
    disturbed = run(dataset_of(hospital), f"file://{tmp_path}/disturbed")
    assert mark.exists()
    assert contents(disturbed) == contents(undisturbed)


class Killed(Exception):
    """Stands for the end of the driver."""


def test_an_ingest_whose_driver_ended_goes_on_in_another_attempt(hospital: Path, tmp_path: Path):
    def end_after_two_chunks(progress: IngestProgress) -> None:
        if progress.films_done >= 10:
            raise Killed

    with pytest.raises(Killed):
        run(dataset_of(hospital), f"file://{tmp_path}/killed", on_progress=end_after_two_chunks)
    time.sleep(0.5)  # what was cancelled may still write, as it may when a machine goes down
    resumed = run(dataset_of(hospital), f"file://{tmp_path}/killed", "second")
    undisturbed = run(dataset_of(hospital), f"file://{tmp_path}/undisturbed", mapper=in_process)
    assert contents(resumed) == contents(undisturbed)
    assert {"first", "second"} == {record.attempt for record in resumed.files.values()}


def test_storage_that_fails_in_a_task_is_the_error_it_is(
    hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with_reader(monkeypatch, lambda _: FailingReader())
    with pytest.raises(StorageUnavailable, match="no answer from s3://hospital"):
        run(dataset_of(hospital), f"file://{tmp_path}/artifacts")


def test_a_task_that_dies_every_time_ends_the_ingest_with_words_and_not_with_a_hang(
    hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ray_mapper, "_RETRIES", 1)
    with_reader(monkeypatch, lambda _: DeadlyReader())
    with pytest.raises(TasksFailed, match=r"died 2 times .*lack of memory"):
        run(dataset_of(hospital), f"file://{tmp_path}/artifacts")


def test_source_and_artifacts_in_s3_give_the_same_bytes_as_folders(
    hospital: Path, tmp_path: Path, versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch
):
    for name, value in versitygw_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = f"s3://{versitygw_server.bucket}/ingest-source"
    for path in sorted(hospital.rglob("*.*")):
        open_storage(source).upload(str(path.relative_to(hospital)), path)
    table = dataset_of(hospital).source.plain()["table"] | {"uri": source}
    in_s3 = hospital_dataset(hospital, source={"table": table}, quarantine={"maxShare": 0.1})
    done = run(in_s3, f"s3://{versitygw_server.bucket}/ingest-artifacts", mapper=in_process)
    folders = run(dataset_of(hospital), f"file://{tmp_path}/folders", mapper=in_process)
    assert contents(done) == contents(folders)
    assert ChestXrayDataset.open(done).film(3).shape == (38, 32)
