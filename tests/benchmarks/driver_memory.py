"""How much memory the driver of `chex run` takes for a large archive: preflight, ingest, and whoever opens the films afterwards.

    python -m tests.benchmarks.driver_memory [--films N] [--reports CHARACTERS]

Makes a table of N films (400,000) with reports, patients, studies, views, ages and two tasks, and a small file for each film; looks
at it as preflight does, ingests it, opens it as a pretraining and an evaluation do, all in one process with torch and Ray loaded,
as a driver is. Films are not decoded, which is the work of other processes: a stand-in answers for them. Prints the resident
memory of the process at its peak after each step. Exit code 1 above 2 GiB.
"""

import argparse
import copy
import csv
import hashlib
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from chex_api.job import ChexTrainingJob
from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.artifacts.finished import FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.fingerprints import fingerprints
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.data.dataset.shards import ShardSlot, shard_path
from chex_jobs.data.ingest.chunks import Chunk, ChunkResult, DecodedFilm
from chex_jobs.data.ingest.ingest import ingest
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData, UnitTable
from chex_jobs.handover.context import Machine, StageContext
from chex_jobs.preflight import run_preflight
from tests.pipeline.manifest import tiny_job

FILMS = 400_000
LIMIT_BYTES = 2 << 30
FILMS_A_FOLDER = 10_000
WORDS = (
    "the",
    "heart",
    "is",
    "normal",
    "lungs",
    "are",
    "clear",
    "no",
    "pleural",
    "effusion",
    "seen",
    "mild",
    "edema",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=int, default=FILMS)
    parser.add_argument("--reports", type=int, default=600, help="characters of each report; 0: none")
    options = parser.parse_args()
    import ray
    import torch

    assert ray
    assert torch
    with tempfile.TemporaryDirectory(prefix="driver-memory-") as name:
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        folder = Path(name)
        begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        step("torch and Ray loaded", lambda: None)
        if pid := os.fork():  # what makes the archive is not measured
            os.waitpid(pid, 0)
        else:
            write_archive(folder, options.films, options.reports)
            os._exit(0)
        drive(folder)
    peak = peak_bytes()
    print(
        f"{options.films} films: {peak >> 20} MiB at most, {(peak - begun) / options.films:.0f} bytes a film (limit {LIMIT_BYTES >> 20} MiB)"
    )
    return int(peak > LIMIT_BYTES)


def peak_bytes() -> int:
    """Resident memory of this process at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def step(name: str, work: Callable[[], Any]) -> Any:
    """Do a step of the driver's work and print what it took."""
    begun = time.monotonic()
    result = work()
    print(f"{name:<32} {peak_bytes() >> 20:6} MiB {time.monotonic() - begun:7.1f} s", flush=True)
    return result


def write_archive(folder: Path, films: int, characters: int) -> None:
    """A table, in no order of its films, and a file for each; two films a patient, one a study."""
    rng = random.Random(1)
    with (folder / "films.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["path", "patient", "study", "view", "sex", "age", "report", "Effusion", "Edema", "unread"]
        )
        for number in rng.sample(range(films), films):
            path = f"images/{number // FILMS_A_FOLDER:03d}/film-{number:07d}.png"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(str(number).encode())
            report = "FINDINGS: " + " ".join(rng.choices(WORDS, k=characters // 9)) if characters else ""
            table.writerow(
                [
                    path,
                    f"patient-{number // 2:07d}",
                    f"study-{number:07d}",
                    "PA",
                    "FM"[number % 4 == 0],
                    20 + number % 70,
                    report,
                    int(rng.random() < 0.2),
                    rng.choice(["1", "0", ""]),
                    "a cell that nobody reads",
                ]
            )


def job_of(folder: Path) -> ChexTrainingJob:
    """Pretraining on images and reports of the archive, which is a hospital too."""
    plain = copy.deepcopy(tiny_job(f"file://{folder}/artifacts"))
    spec = plain["spec"]
    archive = spec["datasets"][1]
    archive["source"] = {
        "table": {
            "uri": f"file://{folder}",
            "file": "films.csv",
            "image": {"column": "path"},
            "patientColumn": "patient",
            "studyColumn": "study",
            "reportColumn": "report",
            "ageColumn": "age",
            "subgroupColumns": ["sex"],
            "view": {"column": "view", "frontal": ["PA", "AP"], "lateral": ["LATERAL"]},
        }
    }
    archive["tasks"].append({"name": "edema", "column": "Edema", "positive": {"values": ["1"]}})
    spec["hospitals"][0]["tasks"].append("edema")
    spec["datasets"] = [archive]
    spec["pretraining"][0]["dataset"] = archive["name"]
    job = validate_job(plain)
    assert job.job is not None, job.faults
    return job.job


def drive(folder: Path) -> None:
    """What a driver does with the archive."""
    job = job_of(folder)
    report = step("preflight", lambda: run_preflight(job))
    stage = make_plan(job, report.digests).stage("ingest", "north")
    work = stage.work.ingest
    assert work is not None
    store = ArtifactStore.open(job.spec.artifacts.uri)
    context = StageContext(store, "one", Machine(2), lambda _: None)
    done = step(
        "ingest",
        lambda: ingest(
            work.dataset,
            seed=stage.seed,
            attempt=context.attempt(stage),
            digest=work.digest,
            labels=work.labels,
            outcomes=work.outcomes,
            mapper=stand_in,
        ),
    )
    data = step("films opened", lambda: ChestXrayDataset.open(done, finished_labels(store, work.labels)))
    step(
        "fingerprints of training films",
        lambda: fingerprints(data, (data.split == "train").nonzero()[0], "domain", b"k" * 32),
    )
    step("data of an evaluation", lambda: units_that_test(done, finished_labels(store, work.labels)))
    other = store.stage("ingest", "north", "f" * 64)
    step(
        "another ingest, all taken over",
        lambda: ingest(work.dataset, seed=2, attempt=other.attempt("two"), mapper=stand_in),
    )
    step("preflight of what is finished", lambda: run_preflight(job, with_work_left=True))


def units_that_test(done: FinishedArtifact, labels: Mapping[str, FinishedArtifact]) -> UnitTable:
    """Open the films once more, as each stage does, and tell its test units."""
    data = ChestXrayDataset.open(done, labels)
    return EvaluationData(data, tuple(data.task_names)).test_units


def stand_in(function: Callable[[Chunk], ChunkResult], items: Iterable[Chunk], /) -> Generator[ChunkResult]:
    """Answers as decoders do, with shards that hold nothing."""
    for chunk in items:
        outcomes = tuple(
            DecodedFilm(ShardSlot(row * 1024, 32, 32), digest(key), digest(key))
            for row, key in enumerate(chunk.keys)
        )
        yield ChunkResult(chunk.number, chunk.attempt.write_bytes(shard_path(chunk.number), b"-"), outcomes)


def digest(key: str) -> str:
    """Stands for a film's own."""
    return hashlib.sha256(key.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
