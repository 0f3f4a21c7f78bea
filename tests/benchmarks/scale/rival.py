"""The kopf operator as a process, and how many jobs it admits in a second."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from chex_operator.rendering import JobReference
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient, write_kubeconfig
from tests.benchmarks.scale.admission import children, first_status
from tests.benchmarks.scale.measuring import until
from tests.benchmarks.scale.stored import Manifest

PROGRAM = Path(__file__).with_name("kopf_operator.py")
RIVAL_NAMESPACE = "rival"


def admissions_per_second(
    server: ApiClient,
    folder: Path,
    manifest: Manifest,
    interpreter: Path,
    create: Callable[[], None],
    count: int,
) -> tuple[float, float]:
    """Have kopf admit what `create` creates: jobs a second, from the first create to the last status; and its CPU seconds."""
    given, log = folder / "rival.json", folder / "rival.log"
    given.write_text(json.dumps(_given(server, manifest)))
    kubeconfig = write_kubeconfig(folder / "rival.kubeconfig", server, ADMIN_TOKEN)
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "RIVAL_GIVEN": str(given)}
    with log.open("wb") as output, log.with_suffix(".errors").open("wb") as errors:
        process = subprocess.Popen(
            [str(interpreter), str(PROGRAM)], env=environment, stdout=output, stderr=errors
        )
        try:
            time.sleep(5.0)
            before = _cpu_seconds(process.pid)
            began = time.monotonic()
            create()
            seconds = until(lambda: log.read_text().count("admitted") >= count) - began
            return count / seconds, _cpu_seconds(process.pid) - before
        finally:
            process.kill()
            process.wait()


def _given(server: ApiClient, manifest: Manifest) -> dict[str, object]:
    """What it needs: where the API server is, who it is, and what it creates."""
    job = JobReference(RIVAL_NAMESPACE, "placeholder", "PLACEHOLDER-uid", 1)
    return {
        "server": server.url,
        "certificate": str(server.certificate),
        "token": ADMIN_TOKEN,
        "namespace": RIVAL_NAMESPACE,
        "children": [(path, json.dumps(body)) for path, body in children(manifest, job)],
        "status": first_status(manifest),
    }


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
