"""What the admission of a job writes: the children of its preflight, and its first status."""

from collections.abc import Iterator

from chex_operator.kube.resource import (
    BATCH_JOBS,
    CONFIGMAPS,
    NETWORKPOLICIES,
    ROLEBINDINGS,
    ROLES,
    Object,
)
from chex_operator.rendering import JobReference, Preflight, preflight_job, preflight_support
from tests.benchmarks.scale.stored import Manifest
from tests.unit.chex_operator.reconcile.world import World

KINDS = {each.kind: each for each in (BATCH_JOBS, CONFIGMAPS, NETWORKPOLICIES, ROLEBINDINGS, ROLES)}


def children(manifest: Manifest, job: JobReference) -> Iterator[tuple[str, Object]]:
    """The path of each collection, and what is created there, in order."""
    spec = manifest.job.spec
    identity = manifest.judgement.identity
    preflight = Preflight(job, manifest.job.plain(), identity, 1, manifest.runtime, spec.run_policy)
    for rendered in (*preflight_support(preflight), preflight_job(preflight)):
        yield KINDS[rendered["kind"]].path(job.namespace), rendered


def first_status(manifest: Manifest) -> Object:
    """What is told before the children are created."""
    world = World(manifest.judgement)
    world.step()
    return world.status.told()
