"""What workers of a real Ray print reaches the archive in a real S3 server, through the driver that Ray forwards it to."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from chex_jobs.artifacts import open_storage
from chex_jobs.executor.log_chunks import archived_attempts, read_chunks
from tests.patience import PATIENCE_SECONDS
from tests.s3.fixtures import versitygw_server
from tests.s3.servers import S3Server

__all__ = ["versitygw_server"]

pytestmark = pytest.mark.usefixtures("two_core_ray")

DRIVER = """
import sys, time
from chex_jobs.executor.log_archive import archived_output
with archived_output(sys.argv[1] + "/chex-1-abc/logs"):
    import ray
    ray.init(address=sys.argv[2], log_to_driver=True)

    @ray.remote(num_cpus=1)
    def task():
        print("a task prints")

    @ray.remote(num_cpus=1)
    class Actor:
        def act(self):
            print("an actor complains", file=sys.stderr)

    actor = Actor.remote()
    ray.get([task.remote(), actor.act.remote()])
    print("the driver prints")
    ray.shutdown()
"""


def test_prints_of_tasks_and_actors_reach_the_archive(
    versitygw_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in versitygw_server.environment.items():
        monkeypatch.setenv(name, value)
    attempts = f"s3://{versitygw_server.bucket}/{secrets.token_hex(6)}/attempts"
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.run(
        [sys.executable, "-c", DRIVER, attempts, address],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={**os.environ, "RAY_DEDUP_LOGS": "0"},
    )
    assert driver.returncode == 0, driver.stdout + driver.stderr
    ((attempt, chunks),) = archived_attempts(attempts, "chex-1").items()
    archived = b"".join(read_chunks(open_storage(attempts), chunks)).decode()
    assert attempt == "chex-1-abc"
    assert "a task prints" in archived
    assert "an actor complains" in archived
    assert "the driver prints\n" in archived
    assert archived == driver.stdout
