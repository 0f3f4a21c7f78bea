"""Signals to the driver of an attempt in a cluster: Ray puts its own handlers in place of ours, and none of them may end the attempt."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import ray

from chex_api.attempt import ATTEMPT_FILE, STAGE_FILE, AttemptFile
from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_api.stage import StageSpec
from chex_jobs.executor.cluster import FINISHED, attempt_id, run_attempt
from chex_jobs.executor.pod_files import MOUNTED_VARIABLE
from chex_jobs.handover.context import Machine
from tests.patience import PATIENCE_SECONDS
from tests.pipeline.manifest import tiny_job
from tests.ray.test_cluster_entry_point import Told

pytestmark = pytest.mark.usefixtures("two_core_ray")

DRIVER = """
import sys, threading
from chex_jobs.executor import cluster

class Printer:
    def __init__(self, *_): pass
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def report(self, progress): print("progress", progress.done, flush=True)
    def finish(self, key, plain): print("concluded", key, flush=True); return True

class NoServer:
    of_this_pod = staticmethod(lambda environment: None)

cluster.ProgressConfigMap, cluster.ApiServer = Printer, NoServer
sys.exit(cluster.main())
"""
DATA = {"datasets/archive": "d" * 64}


def long_pretraining(folder: Path) -> StageSpec:
    """A stage that runs for hours and stores no checkpoint before its end, with what it needs."""
    manifest = tiny_job(f"file://{folder}/artifacts")
    pretraining = manifest["spec"]["pretraining"][0]
    pretraining["optimization"]["epochs"] = 9000
    pretraining["checkpoint"]["everyMinutes"] = 1000
    job = validate_job(manifest).job
    assert job is not None
    plan = make_plan(job, DATA)
    ingest = plan.stage("ingest", "archive")
    assert (
        run_attempt(ingest, attempt_id("chex-1", {}), Machine(cpus=2), Told(), threading.Event()) == FINISHED
    )
    return plan.stage("pretrain", "ssl")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_an_attempt_with_a_checkpoint_and_its_exit_code(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    stage = long_pretraining(tmp_path)
    about = AttemptFile(attempt="chex-1", namespace="default", progress_config_map="chex-1")
    (tmp_path / STAGE_FILE).write_text(json.dumps(stage.plain()))
    (tmp_path / ATTEMPT_FILE).write_text(json.dumps(about.plain()))
    environment = {
        **os.environ,
        MOUNTED_VARIABLE: str(tmp_path),
        "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
    }
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True, env=environment
    ) as driver:
        assert driver.stdout is not None
        told = []
        for line in driver.stdout:
            told.append(line)
            if line.startswith("progress"):
                driver.send_signal(number)
        assert driver.wait(PATIENCE_SECONDS) == code, "".join(told)
    assert "concluded stopped.json\n" in told
    assert list((tmp_path / "artifacts").glob("stages/pretrain-*/attempts/*/checkpoints/*.json"))
