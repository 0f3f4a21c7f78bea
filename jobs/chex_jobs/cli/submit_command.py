"""`kubectl chex submit`."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from chex_api.faults import Fault
from chex_api.loading import load_job, read_yaml
from chex_api.plain import is_list, is_object
from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.kubectl import FIELD_MANAGER, MANAGER, Kubectl, KubectlFailed, Plain
from chex_jobs.cli.manifests import InvalidManifest, read_text
from chex_jobs.cli.watching import follow

NO_RUNTIME = Fault(
    "spec.runtimeRef",
    "is required in a cluster; name a runtime: kubectl get clusterchexruntimes,chexruntimes",
)
"""In the operator's words: it would take the job and never begin it."""


def execute(arguments: argparse.Namespace) -> int:
    """Apply a manifest that has no fault."""
    text = read_text(arguments.manifest)
    _check(text)
    kubectl = Kubectl.of(arguments)
    job = ClusterJob.of(_applied(kubectl, text, dry_run=arguments.dry_run, force=arguments.force_conflicts))
    if arguments.dry_run:
        print(f"{job.namespace}/{job.name}: the API server accepts it; nothing was stored (dry run)")
        return 0
    print(f"{job.namespace}/{job.name} submitted (generation {job.generation})")
    there = Kubectl(kubectl.program, _with_namespace(kubectl.flags, job.namespace))
    _print_what_next(job, there)
    return follow(there, job.name, sys.stdout) if arguments.watch else 0


def _applied(kubectl: Kubectl, text: str, *, dry_run: bool, force: bool) -> Plain:
    """The object that the API server has now. Raises `KubectlFailed`."""
    words = [
        "apply",
        "--server-side",
        FIELD_MANAGER,
        "--filename=-",
        *(["--dry-run=server"] if dry_run else []),
    ]
    try:
        return kubectl.object(*words, *(["--force-conflicts"] if force else []), text=text)
    except KubectlFailed as error:
        # What `cancel` and `resume` set is no other program's: the manifest, submitted again, decides.
        if force or error.conflicting != {MANAGER}:
            raise
    return kubectl.object(*words, "--force-conflicts", text=text)


def _check(text: str) -> None:
    """Raise `InvalidManifest` with every fault, those included that only a cluster minds."""
    loaded = load_job(text)
    if loaded.job is None:
        raise InvalidManifest(loaded.faults)
    minded = [
        Fault(path, f"is {uri}, which no Pod can read: name an s3:// location, or run it here with: chex run")
        for path, uri in _uris(read_yaml(text)["spec"], "spec")
        if uri.startswith("file:")
    ]
    if loaded.job.spec.runtime_ref is None:
        minded.insert(0, NO_RUNTIME)
    if minded:
        raise InvalidManifest(tuple(minded))


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
