"""`kubectl chex submit`."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from chex_api.faults import Fault
from chex_api.loading import load_job, read_yaml
from chex_api.plain import is_list, is_object
from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.kubectl import FIELD_MANAGER, Kubectl
from chex_jobs.cli.manifests import InvalidManifest, read_text
from chex_jobs.cli.watching import follow


def execute(arguments: argparse.Namespace) -> int:
    """Apply a manifest that has no fault."""
    text = read_text(arguments.manifest)
    _check(text)
    kubectl = Kubectl.of(arguments)
    flags = ["--dry-run=server"] if arguments.dry_run else []
    flags += ["--force-conflicts"] if arguments.force_conflicts else []
    applied = kubectl.object("apply", "--server-side", FIELD_MANAGER, *flags, "--filename=-", text=text)
    job = ClusterJob.of(applied)
    if arguments.dry_run:
        print(f"{job.namespace}/{job.name}: the API server accepts it; nothing was stored (dry run)")
        return 0
    print(f"{job.namespace}/{job.name} submitted (generation {job.generation})")
    there = Kubectl(kubectl.program, _with_namespace(kubectl.flags, job.namespace))
    _print_what_next(job, there)
    return follow(there, job.name, sys.stdout) if arguments.watch else 0


def _check(text: str) -> None:
    """Raise `InvalidManifest` with every fault, those included that only a cluster minds."""
    loaded = load_job(text)
    if loaded.job is None:
        raise InvalidManifest(loaded.faults)
    local = tuple(
        Fault(path, f"is {uri}, which no Pod can read: name an s3:// location, or run it here with: chex run")
        for path, uri in _uris(read_yaml(text)["spec"], "spec")
        if uri.startswith("file:")
    )
    if local:
        raise InvalidManifest(local)


def _uris(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every location in a manifest, with its path."""
    if is_object(value):
        for name, member in value.items():
            if name == "uri" and isinstance(member, str):
                yield f"{path}.uri", member
            else:
                yield from _uris(member, f"{path}.{name}")
    elif is_list(value):
        for index, member in enumerate(value):
            yield from _uris(member, f"{path}[{index}]")


def _with_namespace(flags: tuple[str, ...], namespace: str) -> tuple[str, ...]:
    """The manifest may have named a namespace other than the context's."""
    return (*(flag for flag in flags if not flag.startswith("--namespace=")), f"--namespace={namespace}")


def _print_what_next(job: ClusterJob, kubectl: Kubectl) -> None:
    if job.suspended:
        print(f"it is suspended; let it run:  {kubectl.hint('resume', job.name)}")
    print(f"follow it:   {kubectl.hint('status', job.name, '--watch')}")
    print(f"its log:     {kubectl.hint('logs', job.name, '--follow')}")
    print(f"its report:  {kubectl.hint('report', job.name, '--open')}")
