"""Twenty seeded `kill -9`s of a worker, the driver or everything, over short jobs (`make crash`, minutes, not in CI)."""

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.patience import PATIENCE_SECONDS
from tests.pipeline.manifest import tiny_job
from tests.pipeline.runs import chex_run, descendants, kill_everything, results_of
from tests.pipeline.undisturbed import FinishedRun

KILLS = 20
NOT_WORKERS = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")


def kill_a_worker(process: subprocess.Popen[str], rng: random.Random) -> bool:
    """Kill one process that works for Ray; false where none does at this moment."""
    workers = [pid for pid in descendants(process.pid) if _is_worker(pid)]
    if not workers:
        return False
    os.kill(rng.choice(workers), signal.SIGKILL)
    return True


def _is_worker(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return command.startswith("ray::") and not command.startswith(NOT_WORKERS)


def kill_the_driver(process: subprocess.Popen[str], rng: random.Random) -> bool:
    """Kill `chex run` alone and leave what it started to itself."""
    process.kill()
    process.wait()
    return True


def kill_all(process: subprocess.Popen[str], rng: random.Random) -> bool:
    kill_everything(process)
    process.wait()
    return True


VICTIMS: tuple[Callable[[subprocess.Popen[str], random.Random], bool], ...] = (
    kill_a_worker,
    kill_the_driver,
    kill_all,
)


@pytest.mark.timeout(1800)
def test_jobs_killed_twenty_times_end_bit_equal(undisturbed: FinishedRun, tmp_path: Path) -> None:
    rng = random.Random(20)
    kills = jobs = 0
    while kills < KILLS:
        folder = tmp_path / f"job-{jobs}"
        folder.mkdir()
        manifest = tiny_job(f"file://{folder}/artifacts")
        ended, started = False, set[psutil.Process]()
        while not ended:
            kills, ended = _run_until_a_kill_ends_it(manifest, folder, rng, kills, started)
        # Ray's agents on a node ask a dead head for a minute before they end.
        _, alive = psutil.wait_procs(started, timeout=PATIENCE_SECONDS)
        assert not alive, f"outlived their drivers: {alive}"
        assert results_of(manifest) == undisturbed.results, f"job {jobs} after {kills} kills"
        jobs += 1
    print(f"{kills} kills in {jobs} jobs; every job ended bit-equal to the undisturbed one")


def _run_until_a_kill_ends_it(
    manifest: dict, folder: Path, rng: random.Random, kills: int, started: set[psutil.Process]
) -> tuple[int, bool]:
    """One `chex run`: kills so far, and whether the job is finished; adds to `started` what must end with it."""
    log = folder / "run.log"
    with log.open("a") as output, chex_run(manifest, folder, output=output) as process:
        while True:
            delay = rng.uniform(8, 50) if kills < KILLS else 500
            try:
                status = process.wait(timeout=delay)
            except subprocess.TimeoutExpired:
                assert kills < KILLS, f"hangs; see {log}"
            else:
                assert status == 0, log.read_text()[-3000:]
                return kills, True
            victim = rng.choice(VICTIMS)
            started.update(psutil.Process(process.pid).children(recursive=True))
            if victim(process, rng):
                kills += 1
                print(f"kill {kills}: {victim.__name__} after {delay:.0f} s, {_at(log)}", flush=True)
            if process.poll() is not None:
                return kills, False


def _at(log: Path) -> str:
    """Where the run was, by the last event it wrote."""
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    last = events[-1] if events else {"event": "not begun"}
    return f"{last['event']} {last.get('stage', '')} {last.get('message', '')}".strip()
