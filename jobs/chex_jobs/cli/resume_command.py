"""`kubectl chex resume`."""

import argparse

from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.kubectl import Kubectl
from chex_jobs.cli.suspension import set_suspended


def execute(arguments: argparse.Namespace) -> int:
    """Go on with a job that was stopped, or give one that failed another chance."""
    kubectl = Kubectl.of(arguments)
    job = ClusterJob.of(kubectl.job(arguments.name))
    label = f"{job.namespace}/{job.name}"
    failed = job.status.phase == "Failed"
    if not job.suspended and not failed:
        print(f"{label} is not suspended: it is {job.status.phase}")
        return 0
    if not job.suspended:
        # The operator tries again what failed once the manifest was edited.
        set_suspended(kubectl, job.name, True)
    set_suspended(kubectl, job.name, False)
    print(f"{label} goes on from its newest checkpoints{', what failed is tried again' if failed else ''}")
    print(f"follow it:  {kubectl.hint('status', job.name, '--watch')}")
    return 0
