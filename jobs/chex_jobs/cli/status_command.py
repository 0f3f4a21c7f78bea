"""`kubectl chex status`."""

import argparse
import sys
from datetime import UTC, datetime

from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.kubectl import RESOURCE, Kubectl
from chex_jobs.cli.main import WRONG_USAGE
from chex_jobs.cli.output import print_plain
from chex_jobs.cli.status_page import job_table, page
from chex_jobs.cli.terminal import size_of
from chex_jobs.cli.watching import follow


def execute(arguments: argparse.Namespace) -> int:
    """List jobs, or show one, once or until it has ended."""
    refused = _refused(arguments)
    if refused:
        print(f"kubectl chex status: {refused}", file=sys.stderr)
        return WRONG_USAGE
    kubectl = Kubectl.of(arguments)
    if arguments.watch:
        return follow(kubectl, arguments.name, sys.stdout)
    everywhere = ("--all-namespaces",) if arguments.all_namespaces else ()
    named = (arguments.name,) if arguments.name else ()
    plain = kubectl.object("get", RESOURCE, *named, *everywhere)
    if arguments.output:
        print_plain(plain, arguments.output)
        return 0
    now = datetime.now(UTC)
    if arguments.name:
        lines = page(ClusterJob.of(plain), now, size_of(sys.stdout).columns)
    else:
        jobs = [ClusterJob.of(item) for item in plain["items"]]
        lines = job_table(jobs, now, with_namespace=arguments.all_namespaces) if jobs else ["no jobs here"]
    print("\n".join(lines))
    return 0


def _refused(arguments: argparse.Namespace) -> str:
    """Why options do not go together, if so."""
    if arguments.watch and not arguments.name:
        return "--watch follows one job: name it; a table that follows all is: kubectl get ctj --watch"
    if arguments.watch and arguments.output:
        return "--watch and --output do not go together; for machines: kubectl get ctj NAME --watch --output=json"
    if arguments.name and arguments.all_namespaces:
        return "a job's name and --all-namespaces do not go together; its namespace is --namespace"
    return ""
