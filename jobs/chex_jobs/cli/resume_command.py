"""`kubectl chex resume`."""

import argparse

from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.kubectl import Kubectl
from chex_jobs.cli.suspension import set_suspended


def execute(arguments: argparse.Namespace) -> int:
    """Go on with a job that was stopped."""
    kubectl = Kubectl.of(arguments)
    job = ClusterJob.of(kubectl.job(arguments.name))
    label = f"{job.namespace}/{job.name}"
    if not job.suspended:
        print(f"{label} is not suspended: it is {job.status.phase}")
        return 0
    set_suspended(kubectl, job.name, False)
    print(f"{label} goes on from its newest checkpoints")
    print(f"follow it:  {kubectl.hint('status', job.name, '--watch')}")
    return 0
