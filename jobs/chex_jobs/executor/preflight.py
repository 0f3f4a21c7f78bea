"""`python -m chex_jobs.executor.preflight`: a preflight in a cluster, in a small Pod without GPU.

The same checks as on a laptop. What it finds goes into the ConfigMap that it was given its manifest by: digests of everything
outside the manifest, the identities that follow from them, and which stages are finished already.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict

from chex_api.attempt import (
    ATTEMPT_FILE,
    FAILURE,
    LONGEST_NOTICE,
    MANIFEST_FILE,
    MOST_NOTICES,
    RESULT,
    AttemptFile,
    PreflightResult,
    StageFailure,
)
from chex_api.job import ChexTrainingJob
from chex_api.plan import make_plan
from chex_api.stage import StageProgress, StageResult
from chex_jobs.artifacts import ArtifactError, ArtifactStore
from chex_jobs.executor.cluster import (
    FAILED,
    FINISHED,
    USER_ERROR_EXIT,
    ProgressReporter,
    attempt_id,
    bounded,
)
from chex_jobs.executor.log_archive import archived_output
from chex_jobs.executor.log_chunks import attempt_of, preflight_logs
from chex_jobs.executor.pod_files import mounted
from chex_jobs.executor.progress_config_map import ApiServer, ProgressConfigMap
from chex_jobs.executor.signals import exit_on_signals
from chex_jobs.preflight import PreflightFailed, run_preflight
from chex_jobs.preflight.outlook import notices
from chex_jobs.preflight.sentences import dataset_lines
from chex_jobs.stages.unexpected_errors import keep_whole, without_text

log = logging.getLogger(__name__)

FILMS_BETWEEN = 1000
"""Looked at between two words of how far it is."""


def main() -> int:
    """Look at what the mounted manifest names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    exit_on_signals()  # nothing is lost: the next one looks again
    folder = mounted(os.environ)
    job = ChexTrainingJob.parse(json.loads((folder / MANIFEST_FILE).read_text()))
    about = AttemptFile.parse(json.loads((folder / ATTEMPT_FILE).read_text()))
    logs = preflight_logs(job.spec.artifacts.uri, attempt_id(about.attempt, os.environ))
    server = ApiServer.of_this_pod(os.environ)
    with (
        archived_output(logs),
        ProgressConfigMap(server, about.namespace, about.progress_config_map, threading.Event()) as progress,
    ):
        return look(job, progress, attempt_of(logs))


def look(job: ChexTrainingJob, progress: ProgressReporter, attempt_uri: str) -> int:
    """Run the checks and tell what they found, or what is wrong; the exit code.

    What nobody foresaw is stored whole in the attempt's folder.
    """
    progress.report(StageProgress(done=0, total=0, message="looking at sources and storage"))
    try:
        result = _found(job, progress)
    except PreflightFailed as error:
        log.error("%s", error)
        return _failed(progress, str(error), user_error=error.user_error)
    except ArtifactError as error:
        log.error("%s", error)
        return _failed(progress, str(error), user_error=False)
    except Exception as error:
        message = f"unexpected {type(error).__name__}, a fault of chex; {keep_whole(error, attempt_uri)}"
        log.error("%s\n%s", message, without_text(error))
        return _failed(progress, message, user_error=False)
    if not progress.finish(RESULT, result.plain()):
        log.error("the result could not be told to the API server")
        return FAILED
    log.info("preflight passed; %d of %d stages are finished", len(result.finished), len(result.identities))
    return FINISHED


def _failed(progress: ProgressReporter, message: str, *, user_error: bool) -> int:
    progress.finish(FAILURE, StageFailure(message=message[:4000], user_error=user_error).plain())
    return USER_ERROR_EXIT if user_error else FAILED


def _found(job: ChexTrainingJob, progress: ProgressReporter) -> PreflightResult:
    def tell(dataset: str, done: int, total: int) -> None:
        if done % FILMS_BETWEEN == 0:
            message = f"looking at data set {dataset}"
            progress.report(StageProgress(done=done, total=total, unit="films", message=message))

    report = run_preflight(job, tell)
    for name, outlook in report.datasets.items():
        for line in dataset_lines(name, asdict(outlook), with_names=False):
            log.info("%s", line)
    plan = make_plan(job, report.digests)
    store = ArtifactStore.open(job.spec.artifacts.uri)
    identities: dict[str, str] = {}
    finished: dict[str, StageResult] = {}
    for stage in plan.stages:
        label = stage.label
        identities[label] = stage.identity
        done = store.stage(stage.kind, stage.name, stage.identity).finished()
        if done is not None:
            finished[label] = StageResult(
                manifest_uri=done.manifest_uri,
                manifest_sha256=done.manifest_sha256,
                summary=bounded(done.summary),
            )
    return PreflightResult(
        digests=report.digests,
        identities=identities,
        finished=finished,
        notices=_bounded(notices(report.datasets)),
    )


def _bounded(told: Iterable[str]) -> tuple[str, ...]:
    """As many notices as events are made of; the last one says how many more the log holds."""
    found = [each[:LONGEST_NOTICE] for each in told]
    if len(found) <= MOST_NOTICES:
        return tuple(found)
    more = len(found) - MOST_NOTICES + 1
    return (*found[: MOST_NOTICES - 1], f"{more} more notices of the data stand in the log of the preflight")


if __name__ == "__main__":
    sys.exit(main())
