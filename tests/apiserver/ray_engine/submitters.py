"""The Jobs of submitters, played because Kubernetes' own Job controller looks at Pods once a second only."""

from __future__ import annotations

from chex_operator.kube.resource import BATCH_JOBS, PODS, Object
from tests.apiserver.ray_engine.api import Api, Held
from tests.apiserver.ray_engine.objects import ENGINE, now, submitter_pod
from tests.apiserver.ray_engine.ray_clusters import current


class Submitters:
    """Makes the Pods of Jobs that are left to us, as many as the `backoffLimit` allows. For one event loop."""

    def __init__(self, api: Api, held: Held) -> None:
        self._api, self._held = api, held
        self._made: dict[str, list[Object]] = {}

    async def step(self, job: Object) -> None:
        """One look at a Job. Raises `ApiError`."""
        if job["spec"].get("managedBy") != ENGINE or job["metadata"].get("deletionTimestamp") or ended(job):
            return
        made = self._made.setdefault(job["metadata"]["uid"], [])
        if made:
            held = await current(self._api, self._held, made[-1])
            phase = held["status"].get("phase") if held else "Failed"
            if phase == "Succeeded":
                await self._end(job, "Complete", "SuccessCriteriaMet", "CompletionsReached")
                return
            if phase != "Failed":
                return
            if len(made) > job["spec"]["backoffLimit"]:
                await self._end(job, "Failed", "FailureTarget", "BackoffLimitExceeded")
                return
        made.append(await self._api.create(PODS, submitter_pod(job)))

    async def _end(self, job: Object, last: str, first: str, reason: str) -> None:
        """Both conditions that the API server wants of an ended Job."""
        at = now()
        pods = len(self._made[job["metadata"]["uid"]])
        succeeded = last == "Complete"
        words = (
            "Reached expected number of succeeded pods"
            if succeeded
            else "Job has reached the specified backoff limit"
        )
        conditions = [
            {"type": kind, "status": "True", "reason": reason, "message": words, "lastTransitionTime": at}
            for kind in (first, last)
        ]
        status: Object = {
            "startTime": job["metadata"]["creationTimestamp"],
            "conditions": conditions,
            "succeeded": int(succeeded),
            "failed": pods - int(succeeded),
            **({"completionTime": at} if succeeded else {}),
        }
        await self._api.patch(BATCH_JOBS, job, {"status": status}, "status")


def ended(job: Object) -> str:
    """`Complete` or `Failed`; empty while the Job goes on."""
    conditions = job.get("status", {}).get("conditions", [])
    return next(
        (
            each["type"]
            for each in conditions
            if each["type"] in ("Complete", "Failed") and each["status"] == "True"
        ),
        "",
    )
