"""`python -m chex_jobs.executor.cluster`: one attempt at a stage in a cluster, as the driver of its Ray.

What to do is read from files that the operator mounted: nothing of the user's is on a command line. Exit codes tell KubeRay
little (`SUCCEEDED` or not); the operator reads the ConfigMap and, where that is silent, the artifacts. An attempt that a signal
ended exits with 143 or 129.
"""

import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from chex_api.attempt import (
    ATTEMPT_FILE,
    FAILURE,
    RESULT,
    STAGE_FILE,
    STOPPED,
    AttemptFile,
    StageFailure,
)
from chex_api.stage import StageProgress, StageResult, StageSpec
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.executor.log_archive import archived_output
from chex_jobs.executor.log_chunks import stage_logs
from chex_jobs.executor.pod_files import mounted
from chex_jobs.executor.progress_config_map import ApiServer, ProgressConfigMap
from chex_jobs.executor.signals import EndedBySignal, StopSignals, kept_from_ray
from chex_jobs.handover.context import Machine, StageContext, StageStopped
from chex_jobs.stages.errors import StageFailed

log = logging.getLogger(__name__)

FINISHED, FAILED, USER_ERROR_EXIT, INTERRUPTED = 0, 1, 2, 3
MOST_SUMMARY_CHARACTERS = 8_000
"""A ConfigMap of an attempt stays below 16 KiB; the manifest holds the whole summary."""
LAST_LINES_SECONDS = 0.5
"""What workers printed last is on its way to the driver; Ray waits as long for it when an interpreter ends, not in `shutdown`."""


def main() -> int:
    """Run the mounted stage on the Ray of this Pod."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    folder = mounted(os.environ)
    spec = StageSpec.parse(json.loads((folder / STAGE_FILE).read_text()))
    about = AttemptFile.parse(json.loads((folder / ATTEMPT_FILE).read_text()))
    attempt = attempt_id(about.attempt, os.environ)
    server = ApiServer.of_this_pod(os.environ)
    with (
        StopSignals(stop, lambda: log.info("asked to end; stopping with a checkpoint")) as signals,
        archived_output(stage_logs(spec, attempt)),
        ProgressConfigMap(server, about.namespace, about.progress_config_map, stop) as progress,
    ):
        try:
            with _joined_ray():
                code = run_attempt(spec, attempt, _machine(), progress, stop)
        except EndedBySignal:  # before anything began, or without waiting for it
            progress.finish(STOPPED, {})
            code = INTERRUPTED
        return signals.exit_code or code if code == INTERRUPTED else code


@contextmanager
def _joined_ray() -> Iterator[None]:
    """The Ray of this Pod."""
    import ray

    with kept_from_ray():
        ray.init(address="auto", log_to_driver=True)
    try:
        yield
    finally:
        time.sleep(LAST_LINES_SECONDS)
        ray.shutdown()


class ProgressReporter(Protocol):
    """Where progress and the outcome go; see `ProgressConfigMap`."""

    def report(self, progress: StageProgress) -> None:
        """Take progress without waiting."""
        ...

    def finish(self, key: str, plain: object) -> bool:
        """Take the outcome."""
        ...


def run_attempt(
    spec: StageSpec, attempt: str, machine: Machine, progress: ProgressReporter, stop: threading.Event
) -> int:
    """Run a stage to its manifest, or to the words that say why not; the exit code."""
    from chex_jobs.stages.registry import run_stage  # loads torch and Ray's libraries

    label = spec.label
    context = StageContext(
        store=ArtifactStore.open(spec.artifacts_uri),
        attempt_id=attempt,
        machine=machine,
        on_progress=progress.report,
        stop=stop,
    )
    try:
        done = run_stage(spec, context)
    except StageStopped:
        log.info("%s: stopped; the next attempt goes on", label)
        progress.finish(STOPPED, {})
        return INTERRUPTED
    except StageFailed as error:
        log.error("%s", error)
        progress.finish(FAILURE, StageFailure(message=str(error)[:4000], user_error=error.user_error).plain())
        return USER_ERROR_EXIT if error.user_error else FAILED
    result = StageResult(
        manifest_uri=done.manifest_uri, manifest_sha256=done.manifest_sha256, summary=bounded(done.summary)
    )
    progress.finish(RESULT, result.plain())
    log.info("%s: finished, %s", label, done.manifest_uri)
    return FINISHED


def attempt_id(name: str, environment: "os._Environ[str] | dict[str, str]") -> str:
    """What no other attempt has: also a RayJob that KubeRay starts twice writes to two places."""
    return f"{environment.get('RAY_CLUSTER_NAME', name)}-{secrets.token_hex(3)}"


def _machine() -> Machine:
    import ray

    resources = ray.cluster_resources()
    return Machine(cpus=max(1, int(resources.get("CPU", 1))), gpus=int(resources.get("GPU", 0)))


def bounded(summary: Any) -> dict[str, Any]:
    """A stage's summary, or of a large one what people read first."""
    plain = dict(summary)
    if len(json.dumps(plain)) <= MOST_SUMMARY_CHARACTERS:
        return plain
    return {
        name: plain[name]
        for name in ("headline", "recommended", "verdict", "auroc", "aurocLow", "aurocHigh", "page")
        if name in plain
    }


if __name__ == "__main__":
    sys.exit(main())
