"""`kubectl chex cancel`."""

import argparse
import sys

from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.kubectl import RESOURCE, Kubectl, KubectlFailed
from chex_jobs.cli.main import FAILED
from chex_jobs.cli.suspension import set_suspended


def execute(arguments: argparse.Namespace) -> int:
    """Stop a job with a checkpoint, or delete it."""
    kubectl = Kubectl.of(arguments)
    job = ClusterJob.of(kubectl.job(arguments.name))
    if arguments.delete:
        return _delete(job, kubectl, asked=not arguments.yes and sys.stdin.isatty())
    label = f"{job.namespace}/{job.name}"
    if job.ended:
        print(f"{label} is {job.ended}: there is nothing to stop")
        return 0
    set_suspended(kubectl, job.name, True)
    print(f"{label} stops: its stages write a checkpoint, then its GPUs are free")
    print(f"watch it:  {kubectl.hint('status', job.name)}")
    print(f"go on:     {kubectl.hint('resume', job.name)}")
    return 0


def _delete(job: ClusterJob, kubectl: Kubectl, *, asked: bool) -> int:
    label = f"{job.namespace}/{job.name}"
    if asked and not _confirmed(f"Delete {label}? Its artifacts in {job.artifacts_uri} are kept. [y/N] "):
        print("nothing was deleted")
        return FAILED
    print(
        f"{label}: deleting; running stages write a checkpoint first, which may take some minutes", flush=True
    )
    if kubectl.show("delete", RESOURCE, job.name) != 0:
        raise KubectlFailed(f"{label} was not deleted")
    print(f"artifacts are kept in {job.artifacts_uri}: the same manifest, submitted again, goes on from them")
    return 0


def _confirmed(question: str) -> bool:
    return input(question).strip().lower() in ("y", "yes")
