"""RayJobs whose job is gone, and RayClusters whose RayJob is gone.

The garbage collector removes what has lost its owner; this looks after it, since a GPU that nobody needs costs. What was left on
purpose by its owner's deletion (`kubectl delete --cascade=orphan`) nobody else would ever remove.
"""

import logging

from chex_operator.controller.caches import Caches
from chex_operator.controller.fields import parts, text
from chex_operator.controller.projections import AttemptObjectProjection
from chex_operator.kube.client import Client, listed
from chex_operator.kube.clock import Clock
from chex_operator.kube.errors import ApiError, NotFound
from chex_operator.kube.resource import JOBS, RAYCLUSTERS, RAYJOBS, Object
from chex_operator.rendering.names import JOB_UID_LABEL

SWEEP_SECONDS = 300.0
CLUSTERS_PER_PAGE = 100
"""A RayCluster holds the specs of all its Pods."""

logger = logging.getLogger(__name__)


async def sweep_regularly(caches: Caches, client: Client, clock: Clock, namespace: str | None) -> None:
    """Sweep until cancelled, one namespace or all."""
    while True:
        await clock.sleep(SWEEP_SECONDS)
        try:
            await sweep(caches, client, namespace)
        except ApiError as error:
            logger.warning("orphans could not be looked for: %s", error)


async def sweep(caches: Caches, client: Client, namespace: str | None) -> int:
    """Delete every RayJob and RayCluster of ours that has outlived its owner; how many there were."""
    return await _sweep_ray_jobs(caches, client) + await _sweep_ray_clusters(caches, client, namespace)


async def _sweep_ray_jobs(caches: Caches, client: Client) -> int:
    found = 0
    for ray_job in caches.orphans():
        if await _has_lost_its_job(ray_job, client):
            logger.warning(
                "RayJob %s/%s has outlived its job; deleting it",
                ray_job.namespace,
                ray_job.attempt_object.name,
            )
            await client.delete(
                RAYJOBS,
                ray_job.namespace,
                ray_job.attempt_object.name,
                uid=ray_job.attempt_object.uid,
            )
            found += 1
    return found


async def _has_lost_its_job(ray_job: AttemptObjectProjection, client: Client) -> bool:
    """A cache may be behind: the API server is asked for the job itself."""
    if not ray_job.job_name or not ray_job.job_uid:
        return False  # labelled by somebody else
    try:
        job = await client.get(JOBS, ray_job.namespace, ray_job.job_name)
    except NotFound:
        return True
    return job["metadata"]["uid"] != ray_job.job_uid


async def _sweep_ray_clusters(caches: Caches, client: Client, namespace: str | None) -> int:
    """Of those that KubeRay made of our RayJobs, whose labels it copies; not kept in a cache, since nothing else asks for them."""
    found = 0
    async for cluster in listed(client, RAYCLUSTERS, namespace, JOB_UID_LABEL, limit=CLUSTERS_PER_PAGE):
        metadata = cluster["metadata"]
        if not await _has_lost_its_ray_job(cluster, caches, client):
            continue
        where, name = metadata["namespace"], metadata["name"]
        logger.warning("RayCluster %s/%s has outlived its RayJob; deleting it", where, name)
        await client.delete(RAYCLUSTERS, where, name, uid=metadata["uid"])
        found += 1
    return found


async def _has_lost_its_ray_job(cluster: Object, caches: Caches, client: Client) -> bool:
    """Where there is none in the cache, the API server is asked for the RayJob itself."""
    where = cluster["metadata"]["namespace"]
    owners = [
        each for each in parts(cluster["metadata"], "ownerReferences") if text(each, "kind") == RAYJOBS.kind
    ]
    if not owners:
        return True
    name, uid = text(owners[0], "name"), text(owners[0], "uid")
    cached = caches.ray_jobs.get(where, name)
    if cached is not None and cached.attempt_object.uid == uid:
        return False
    try:
        ray_job = await client.get(RAYJOBS, where, name)
    except NotFound:
        return True
    return ray_job["metadata"]["uid"] != uid
