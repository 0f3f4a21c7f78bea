"""`kubectl chex logs`."""

import argparse
import sys
import time
from dataclasses import dataclass

from chex_api.status import StageStatus
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.errors import StorageDenied
from chex_jobs.cli.attempt_pods import ATTEMPT_LABEL, log_source, why_not_begun
from chex_jobs.cli.cluster_job import ALIVE, ClusterJob, stage_that_matters
from chex_jobs.cli.kubectl import Kubectl, Plain
from chex_jobs.cli.main import FAILED
from chex_jobs.executor.log_chunks import archived_attempts, attempts_folder, read_chunks

LOOK_SECONDS = 2.0


class NoLog(Exception):
    """There is no log to print; the message says why."""


@dataclass(frozen=True)
class Wanted:
    """Whose log is printed."""

    stage: StageStatus
    attempt: str
    """Name of the attempt."""
    is_newest: bool

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.stage.name}, attempt {self.attempt.rpartition('-')[2]}"


def execute(arguments: argparse.Namespace) -> int:
    """Print the log of a stage's attempt, from its Pods or from the archive."""
    kubectl = Kubectl.of(arguments)
    job = ClusterJob.of(kubectl.job(arguments.name))
    try:
        wanted = _wanted(job, arguments.stage, arguments.attempt)
        _tell(f"{wanted.label} ({wanted.stage.state})")
        if _printed_by_pods(kubectl, wanted, follow=arguments.follow):
            return 0
        _print_archived(job, wanted)
    except NoLog as error:
        _tell(str(error))
        return FAILED
    return 0


def _wanted(job: ClusterJob, stage_name: str | None, number: int | None) -> Wanted:
    stages = job.status.stages
    if stage_name is None:
        stage = stage_that_matters(stages, job.status.stage)
        if stage is None:
            raise NoLog(f"{job.namespace}/{job.name} has begun no stage yet: it is {job.status.phase}")
    else:
        stage = next((each for each in stages if each.name == stage_name), None)
        if stage is None:
            known = ", ".join(each.name for each in stages) or "none yet"
            raise NoLog(f"{job.namespace}/{job.name} has no stage {stage_name!r}; it has: {known}")
        if not stage.attempt_name:
            raise NoLog(f"{stage_name} has no attempt of this job: it is {stage.state}")
    base, _, newest = stage.attempt_name.rpartition("-")
    if number is None or str(number) == newest:
        return Wanted(stage, stage.attempt_name, True)
    if not 1 <= number <= int(newest):
        raise NoLog(f"{stage.name} has no attempt {number}; its newest one is {newest}")
    return Wanted(stage, f"{base}-{number}", False)


def _printed_by_pods(kubectl: Kubectl, wanted: Wanted, *, follow: bool) -> bool:
    """Whether there is no need of the archive: living Pods had the log, or none of them has begun one."""
    alive = wanted.is_newest and wanted.stage.state in ALIVE
    pods = _pods(kubectl, wanted, wait=follow and alive)
    source = log_source(pods)
    if source is None:
        if pods and alive:
            _tell(f"waiting: {_what_for(pods)}")
        return bool(pods) and alive
    if not source.is_driver:
        _tell("the driver has not begun; this is what Ray's head says")
    words = ["logs", source.pod, f"--container={source.container}", *(["--follow"] if follow else [])]
    return kubectl.show(*words) == 0


def _pods(kubectl: Kubectl, wanted: Wanted, *, wait: bool) -> list[Plain]:
    """The attempt's Pods; with `wait`, once the driver has begun or they are gone."""
    told = ""
    while True:
        pods = kubectl.object("get", "pods", f"--selector={ATTEMPT_LABEL}={wanted.attempt}")["items"]
        source = log_source(pods)
        if not wait or not pods or (source is not None and source.is_driver):
            return pods
        waits_for = _what_for(pods)
        if waits_for != told:
            _tell(f"waiting: {waits_for}")
            told = waits_for
        time.sleep(LOOK_SECONDS)


def _what_for(pods: list[Plain]) -> str:
    return why_not_begun(pods) or "the driver begins when all workers are there"


def _print_archived(job: ClusterJob, wanted: Wanted) -> None:
    folder = attempts_folder(job.artifacts_uri, wanted.stage.name, wanted.stage.identity)
    try:
        starts = archived_attempts(folder, wanted.attempt)
        storage = open_storage(folder)
        for start, chunks in starts.items():
            _tell(f"from the archive: {folder}/{start}/logs")
            for chunk in read_chunks(storage, chunks):
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    except StorageDenied as error:
        raise NoLog(
            f"{wanted.label} has no Pod with a log, and its archived log may not be read: {error}. It lies in "
            f"{folder}/{wanted.attempt}-*/logs; reading it needs your own credentials for that bucket"
        ) from error
    if not starts:
        raise NoLog(
            f"{wanted.label} has no Pod that has begun, and no archived log in {folder}/{wanted.attempt}-*/logs"
        )


def _tell(text: str) -> None:
    """Standard output is the log's alone."""
    print(f"kubectl chex logs: {text}", file=sys.stderr, flush=True)
