"""`chex report FILE` and `kubectl chex report NAME`."""

import argparse
import re
import sys
import webbrowser
from pathlib import Path

from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.cli.arguments import called
from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.kubectl import Kubectl
from chex_jobs.cli.main import FAILED, WRONG_USAGE
from chex_jobs.cli.report_copy import page_to_open, save
from chex_jobs.handover.files import PAGE

JOB_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class NoReport(Exception):
    """There is none yet; the message says what to do."""


def execute(arguments: argparse.Namespace) -> int:
    """Print where the report of a finished run or job lies, save it, or open it."""
    refused = _refused(arguments)
    if refused:
        print(f"chex report: {refused}", file=sys.stderr)
        return WRONG_USAGE
    try:
        report = _of_job(arguments) if is_job_name(arguments.manifest) else _of_run(arguments)
    except NoReport as error:
        print(f"chex report: {error}", file=sys.stderr)
        return FAILED
    _show(report, arguments)
    return 0


def is_job_name(argument: str) -> bool:
    """Whether an argument names a job in the cluster: it is no file, and could be a name. A folder is no manifest."""
    return argument != "-" and not Path(argument).is_file() and JOB_NAME.fullmatch(argument) is not None


def _refused(arguments: argparse.Namespace) -> str:
    """Why options do not go together, if so."""
    if arguments.models and arguments.save is None:
        return "--models goes with --save FOLDER"
    if is_job_name(arguments.manifest) and (arguments.artifacts or arguments.source):
        return "--artifacts and --source go with a manifest, not with a job"
    return ""


def _of_run(arguments: argparse.Namespace) -> FinishedArtifact:
    from chex_api.plan import make_plan
    from chex_jobs.cli.manifests import load
    from chex_jobs.preflight import run_preflight

    job = load(arguments)
    stage = make_plan(job, run_preflight(job).digests).stages[-1]
    place = ArtifactStore.open(job.spec.artifacts.uri).stage(stage.kind, stage.name, stage.identity)
    report = place.finished()
    if report is None:
        raise NoReport(f"this manifest has no finished report; run: {called()} run {arguments.manifest}")
    return report


def _of_job(arguments: argparse.Namespace) -> FinishedArtifact:
    """The report whose manifest the operator has pinned by its checksum."""
    kubectl = Kubectl.of(arguments)
    job = ClusterJob.of(kubectl.job(arguments.manifest))
    stage = next((each for each in job.status.stages if each.name.startswith("report/")), None)
    if stage is None or not stage.manifest_uri:
        raise NoReport(
            f"{job.namespace}/{job.name} has no report yet: it is {job.status.phase}; see: {kubectl.hint('status', job.name)}"
        )
    return FinishedArtifact.open(stage.manifest_uri, stage.manifest_sha256)


def _show(report: FinishedArtifact, arguments: argparse.Namespace) -> None:
    if arguments.save is not None:
        page = save(report, Path(arguments.save), models=arguments.models)
    elif arguments.open:
        page = page_to_open(report)
    else:
        print(report.uri_of(PAGE))
        return
    print(page)
    if arguments.open and not webbrowser.open(page.absolute().as_uri()):
        print("chex report: no browser was found; open the page yourself", file=sys.stderr)
