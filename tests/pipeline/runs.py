"""`chex run` as its own process group, and what two runs must have in common."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.preflight import run_preflight
from tests.patience import PATIENCE_SECONDS

Event = dict[str, Any]
MEASURED = {"wall_seconds", "device_seconds", "ledger", "created_at", "deviceSeconds"}
"""What differs between two runs of one job: times, and how often test data were opened."""


@contextmanager
def chex_run(
    manifest: dict[str, Any], folder: Path, *, output: int | IO[str] = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Start `chex run --json-lines` in a process group of its own; kill what is left of it at the end."""
    path = folder / "job.json"
    path.write_text(json.dumps(manifest))
    process = subprocess.Popen(
        [sys.executable, "-m", "chex_jobs.cli", "run", str(path), "--json-lines", "--cpus", "2"],
        stdout=output,
        stderr=subprocess.PIPE if output == subprocess.PIPE else subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "RAY_worker_niceness": "0"},
    )
    try:
        yield process
    finally:
        kill_everything(process)
        process.communicate()


def kill_everything(process: subprocess.Popen[str]) -> None:
    """`kill -9` of the driver and of all that it started."""
    for pid in [*descendants(process.pid), process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def descendants(pid: int) -> list[int]:
    """All processes below one, children first."""
    found = []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    for child in map(int, children):
        found += [*descendants(child), child]
    return found


def events_of(process: subprocess.Popen[str]) -> Iterator[Event]:
    """The run's JSON lines as they come."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def run_to_end(manifest: dict[str, Any], folder: Path) -> list[Event]:
    """Run a job and return its events. Fails with what it said when it does not end well."""
    with chex_run(manifest, folder) as process:
        output, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-3000:]
        return [json.loads(line) for line in output.splitlines()]


def kill_when(manifest: dict[str, Any], folder: Path, reached: Callable[[Event], bool]) -> bool:
    """Run a job and kill everything at the first event for which `reached` holds; whether there was one."""
    with chex_run(manifest, folder) as process:
        for event in events_of(process):
            if reached(event):
                kill_everything(process)
                return True
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors[-3000:]
        return False


def results_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Everything that must be bit-equal between two runs: identities, arms, predictions and metrics."""
    job = validate_job(manifest).job
    assert job is not None
    plan = make_plan(job, run_preflight(job).digests)
    store = ArtifactStore.open(job.spec.artifacts.uri)
    found: dict[str, Any] = {"identities": {s.label: s.identity for s in plan.stages}}
    for hospital in job.spec.hospitals:
        adapt, evaluate = plan.stage("adapt", hospital.name), plan.stage("evaluate", hospital.name)
        adapted = store.stage("adapt", hospital.name, adapt.identity).finished()
        evaluated = store.stage("evaluate", hospital.name, evaluate.identity).finished()
        assert adapted is not None
        assert evaluated is not None
        found[f"arms of {hospital.name}"] = without_measurements(adapted.read_json("arms.json"))
        found[f"metrics of {hospital.name}"] = without_measurements(evaluated.read_json("metrics.json"))
        table = pq.read_table(pa.BufferReader(evaluated.read_bytes("predictions.parquet")))
        found[f"predictions of {hospital.name}"] = table.to_pylist()
    return found


def without_measurements(plain: Any) -> Any:
    """Plain data without what a clock or a counter of visits said."""
    if isinstance(plain, dict):
        return {key: without_measurements(value) for key, value in plain.items() if key not in MEASURED}
    if isinstance(plain, list):
        return [without_measurements(value) for value in plain]
    return plain
