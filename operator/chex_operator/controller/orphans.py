"""RayJobs whose job is gone. The garbage collector removes them; this looks after it, since a GPU that nobody needs costs."""

import logging

from chex_operator.controller.caches import Caches
from chex_operator.controller.views import RunView
from chex_operator.runtime.client import Client
from chex_operator.runtime.clock import Clock
from chex_operator.runtime.errors import ApiError, NotFound
from chex_operator.runtime.resource import JOBS, RAYJOBS

SWEEP_SECONDS = 300.0

logger = logging.getLogger(__name__)


async def sweep_regularly(caches: Caches, client: Client, clock: Clock) -> None:
    """Sweep until cancelled."""
    while True:
        await clock.sleep(SWEEP_SECONDS)
        try:
            await sweep(caches, client)
        except ApiError as error:
            logger.warning("orphans could not be looked for: %s", error)


async def sweep(caches: Caches, client: Client) -> int:
    """Delete every RayJob of ours whose job is not there any more; how many there were."""
    found = 0
    for view in caches.orphans():
        if await _is_orphan(view, client):
            logger.warning("RayJob %s/%s has outlived its job; deleting it", view.namespace, view.run.name)
            await client.delete(RAYJOBS, view.namespace, view.run.name, uid=view.run.uid)
            found += 1
    return found


async def _is_orphan(view: RunView, client: Client) -> bool:
    """A cache may be behind: the API server is asked for the job itself."""
    if not view.job_name or not view.job_uid:
        return False  # labelled by somebody else
    try:
        job = await client.get(JOBS, view.namespace, view.job_name)
    except NotFound:
        return True
    return job["metadata"]["uid"] != view.job_uid
