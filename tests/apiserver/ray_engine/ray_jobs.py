"""The RayJob controller of KubeRay 1.7, as far as its states can be seen from outside.

What it remembers is in the RayJob's status, so that it goes on after it was down. It writes no conditions and no
`observedGeneration`, and takes no notice of edits of the spec but for `suspend`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from chex_operator.kube.errors import AlreadyExists
from chex_operator.kube.resource import BATCH_JOBS, RAYCLUSTERS, RAYJOBS, Object
from tests.apiserver.ray_engine.api import Api, Held
from tests.apiserver.ray_engine.heads import FINAL, Cluster, HeadLost, Heads, RayJobRun
from tests.apiserver.ray_engine.objects import now, ray_cluster, submitter_job, suffix
from tests.apiserver.ray_engine.submitters import ended
from tests.apiserver.ray_engine.timings import Timings

FINALIZER = "ray.io/rayjob-finalizer"
LONGEST_NAME = 47
LONGEST_SILENCE = 300.0
"""Seconds for which the dashboard may be away."""
FORGOTTEN: Object = dict.fromkeys(
    ["rayClusterStatus", "rayClusterName", "dashboardURL", "jobId", "message", "reason", "rayJobInfo"]
)
"""What a RayJob's status loses with its cluster."""


class RayJobs:
    """Brings a RayJob one state further. For one event loop."""

    def __init__(self, api: Api, held: Held, heads: Heads, timings: Timings) -> None:
        self._api, self._held, self._heads, self._timings = api, held, heads, timings
        # By the RayJob's uid; monotonic.
        self._begun: dict[str, float] = {}
        self._silent_since: dict[str, float] = {}
        self._states: dict[str, Callable[[Object], Awaitable[Object | None]]] = {
            "": self._begin,
            "Initializing": self._initialize,
            "Running": self._follow,
            "Suspending": self._release,
            "Retrying": self._release,
            "Suspended": self._suspended,
            "Complete": self._shut_down,
            "Failed": self._shut_down,
        }

    async def step(self, job: Object) -> bool:
        """One look at a RayJob; whether there must be another one though nothing happens. Raises `ApiError`."""
        if job["metadata"].get("deletionTimestamp"):
            await self._finalize(job)
            return False
        state = _state(job)
        fault = _fault(job)
        if state == "ValidationFailed":
            return False
        if fault:
            change: Object | None = {
                "jobDeploymentStatus": "ValidationFailed",
                "reason": "ValidationFailed",
                "message": fault,
            }
        else:
            change = await self._states[state](job)
        if change is not None:
            await self._tell(job, change)
        return state not in ("Suspended", "Complete", "Failed") or change is not None

    async def _begin(self, job: Object) -> Object:
        if FINALIZER not in job["metadata"].get("finalizers", []):
            finalizers = [*job["metadata"].get("finalizers", []), FINALIZER]
            patched = await self._api.patch(RAYJOBS, job, {"metadata": {"finalizers": finalizers}})
            job["metadata"] = patched["metadata"]
        name = job["metadata"]["name"]
        self._begun[job["metadata"]["uid"]] = time.monotonic()
        return {
            "jobId": job["spec"].get("jobId") or f"{name}-{suffix()}",
            "rayClusterName": f"{name}-{suffix()}",
            "jobStatus": "",
            "jobDeploymentStatus": "Initializing",
            "startTime": now(),
        }

    async def _initialize(self, job: Object) -> Object | None:
        if job["spec"].get("suspend"):
            return {"jobDeploymentStatus": "Suspending"}
        if late := self._too_late(job, "activeDeadlineSeconds", "DeadlineExceeded"):
            return late
        if late := self._too_late(job, "preRunningDeadlineSeconds", "PreRunningDeadlineExceeded"):
            return late
        cluster = await self._cluster(job)
        if cluster is None:
            return None
        if cluster.get("status", {}).get("state") != "ready":
            return {"rayClusterStatus": cluster["status"]} if cluster.get("status") else None
        namespace, name = _cluster_of(job)
        address = f"{name}-head-svc.{namespace}.svc.cluster.local:8265"
        job["status"]["dashboardURL"] = address
        await self._submit(job)
        return {"dashboardURL": address, "jobDeploymentStatus": "Running"}

    async def _follow(self, job: Object) -> Object | None:
        if job["spec"].get("suspend"):
            return {"jobDeploymentStatus": "Suspending"}
        if late := self._too_late(job, "activeDeadlineSeconds", "DeadlineExceeded"):
            return late
        await self._cluster(job)
        submitter = self._held(BATCH_JOBS, *_key(job))
        if submitter is None:
            return None  # KubeRay logs an error and looks again, for ever
        how = ended(submitter)
        if how == "Failed":
            failed = job["status"].get("jobStatus") == "FAILED"
            message = "" if failed else "Job submission has failed. Reason: BackoffLimitExceeded."
            return _failed("AppFailed" if failed else "SubmissionFailed", message)
        try:
            run = self._heads.run(_cluster_of(job), job["status"]["jobId"])
        except HeadLost:
            return self._silence(job)
        self._silent_since.pop(job["metadata"]["uid"], None)
        if run is None:
            lost = "Submitter completed but Ray job not found in RayCluster."
            return _failed("AppFailed", lost) if how else None
        # Told first, taken for the end at the next look, when the submitter has ended too.
        over = run.status in FINAL and job["status"].get("jobStatus") == run.status and bool(how)
        return _of_run(run, over=over)

    async def _release(self, job: Object) -> Object | None:
        """Delete the cluster and the submitter; when both objects are gone, the status forgets them."""
        children = [
            (RAYCLUSTERS, await self._api.get(RAYCLUSTERS, *_cluster_of(job))),
            (BATCH_JOBS, await self._api.get(BATCH_JOBS, *_key(job))),
        ]
        left = [(resource, child) for resource, child in children if child is not None]
        for resource, child in left:
            if not child["metadata"].get("deletionTimestamp"):
                await self._api.delete(resource, child)
        if left:
            return None
        following = {"Suspending": "Suspended", "Retrying": ""}[_state(job)]
        return {**FORGOTTEN, "jobStatus": "", "jobDeploymentStatus": following}

    async def _suspended(self, job: Object) -> Object | None:
        return None if job["spec"].get("suspend") else {"jobStatus": "", "jobDeploymentStatus": ""}

    async def _shut_down(self, job: Object) -> None:
        """Delete the cluster; the RayJob and the submitter's Job, with its logs, stay."""
        if job["spec"].get("shutdownAfterJobFinishes"):
            cluster = await self._api.get(RAYCLUSTERS, *_cluster_of(job))
            if cluster is not None and not cluster["metadata"].get("deletionTimestamp"):
                await self._api.delete(RAYCLUSTERS, cluster)

    async def _finalize(self, job: Object) -> None:
        """The Ray job is told to stop, whatever comes of it; everything else is the garbage collector's."""
        finalizers = job["metadata"].get("finalizers", [])
        if FINALIZER in finalizers:
            left = [each for each in finalizers if each != FINALIZER]
            await self._api.patch(RAYJOBS, job, {"metadata": {"finalizers": left}})

    async def _cluster(self, job: Object) -> Object | None:
        """The RayCluster; where there is none, it is created, and None until it is heard of."""
        namespace, name = _cluster_of(job)
        held = self._held(RAYCLUSTERS, namespace, name)
        if held is None:
            with suppress(AlreadyExists):
                await self._api.create(RAYCLUSTERS, ray_cluster(job, name))
        return held

    async def _submit(self, job: Object) -> None:
        with suppress(AlreadyExists):
            await self._api.create(BATCH_JOBS, submitter_job(job))

    def _too_late(self, job: Object, field: str, reason: str) -> Object | None:
        seconds = job["spec"].get(field)
        if seconds is None:
            return None
        clock = time.monotonic()
        begun = self._begun.setdefault(job["metadata"]["uid"], clock)  # `startTime` holds whole seconds
        if clock - begun < seconds * self._timings.deadline_second:
            return None
        return _failed(reason, f"The RayJob has passed the {field}. {field}: {seconds}")

    def _silence(self, job: Object) -> Object | None:
        uid, clock = job["metadata"]["uid"], time.monotonic()
        since = self._silent_since.setdefault(uid, clock)
        if clock - since < LONGEST_SILENCE * self._timings.deadline_second:
            return None
        return _failed("JobStatusCheckTimeoutExceeded", "the dashboard cannot be reached")

    async def _tell(self, job: Object, change: Object) -> None:
        """Write the status where a state changes, and count ends as KubeRay does: retry while the backoffLimit allows."""
        old: Object = job.get("status", {})
        if all(old.get(key) == value for key, value in change.items()):
            return
        if change.get("jobDeploymentStatus") in ("Failed", "Complete"):
            change = {**change, "endTime": now(), **self._counted(job, change)}
        await self._api.patch(RAYJOBS, job, {"status": change}, "status")

    def _counted(self, job: Object, change: Object) -> Object:
        failed = job["status"].get("failed", 0) + (change["jobDeploymentStatus"] == "Failed")
        succeeded = job["status"].get("succeeded", 0) + (change.get("jobStatus") == "SUCCEEDED")
        counted: Object = {"failed": failed, "succeeded": succeeded}
        final = ("DeadlineExceeded", "JobStatusCheckTimeoutExceeded")
        again = change["jobDeploymentStatus"] == "Failed" and failed <= job["spec"].get("backoffLimit", 0)
        if again and change["reason"] not in final:
            counted["jobDeploymentStatus"] = "Retrying"
        return counted


def _state(job: Object) -> str:
    return job.get("status", {}).get("jobDeploymentStatus", "")


def _key(job: Object) -> tuple[str, str]:
    return job["metadata"]["namespace"], job["metadata"]["name"]


def _cluster_of(job: Object) -> Cluster:
    return job["metadata"]["namespace"], job["status"].get("rayClusterName") or "none"


def _fault(job: Object) -> str:
    """What KubeRay finds wrong after the API server has admitted the RayJob."""
    name, spec = job["metadata"]["name"], job["spec"]
    if len(name) > LONGEST_NAME:
        return f"The RayJob metadata is invalid: RayJob name should be no more than {LONGEST_NAME} characters"
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        return "The RayJob metadata is invalid: RayJob name should be a valid DNS1035 label"
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        return "The RayJob spec is invalid: a RayJob with shutdownAfterJobFinishes set to false is not allowed to be suspended"
    if not spec.get("rayClusterSpec"):
        return "The RayJob spec is invalid: one of RayClusterSpec or ClusterSelector must be set"
    if spec["submissionMode"] != "K8sJobMode":
        return "the stand-in for KubeRay plays K8sJobMode only"
    return ""


def _failed(reason: str, message: str) -> Object:
    """The RayJob failed; what its `jobStatus` says stays."""
    return {"jobDeploymentStatus": "Failed", "reason": reason, "message": message}


def _of_run(run: RayJobRun, *, over: bool) -> Object:
    state = {"jobStatus": run.status, "jobDeploymentStatus": "Running", "reason": "", "message": run.message}
    if not over:
        return state
    if run.status == "FAILED":
        return {**state, **_failed("AppFailed", run.message)}
    return {**state, "jobDeploymentStatus": "Complete"}
