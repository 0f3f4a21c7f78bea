"""The RayCluster controller of KubeRay: Pods made, replaced when they ended, and counted."""

from __future__ import annotations

from chex_operator.kube.errors import ApiError
from chex_operator.kube.resource import PODS, RAYCLUSTERS, Object
from tests.apiserver.ray_engine.api import Api, Held
from tests.apiserver.ray_engine.objects import Place, cluster_pod, now, places


class RayClusters:
    """Brings the Pods of a RayCluster to what its spec wants. For one event loop."""

    def __init__(self, api: Api, held: Held) -> None:
        self._api, self._held = api, held
        self._made: dict[tuple[str, Place], Object] = {}

    async def step(self, cluster: Object) -> None:
        """One look at a cluster. Raises `ApiError`: a Pod was refused, or somebody else was faster."""
        if cluster["metadata"].get("deletionTimestamp"):
            return
        pods: dict[Place, Object] = {}
        try:
            for place in places(cluster):
                pods[place] = await self._filled(cluster, place)
        except ApiError as refused:
            await self._count(cluster, pods, refused)
            raise
        await self._count(cluster, pods, None)

    async def _filled(self, cluster: Object, place: Place) -> Object:
        """The Pod of a place: the one that is there, or a new one. One that has ended is deleted first."""
        key = (cluster["metadata"]["uid"], place)
        made = self._made.get(key)
        held = await current(self._api, self._held, made) if made else None
        if held is None:
            held = self._made[key] = await self._api.create(PODS, cluster_pod(cluster, place))
        elif held["status"].get("phase") in ("Failed", "Succeeded"):
            await self._api.delete(PODS, held)
        return held

    async def _count(self, cluster: Object, pods: dict[Place, Object], refused: ApiError | None) -> None:
        wanted = list(places(cluster))
        head = pods.get(wanted[0])
        workers = sum(_ready(pod) for place, pod in pods.items() if place is not wanted[0])
        old: Object = cluster.get("status", {})
        complete = len(pods) == len(wanted) and all(map(_ready, pods.values()))
        status: Object = {
            "desiredWorkerReplicas": len(wanted) - 1,
            "readyWorkerReplicas": workers,
            "availableWorkerReplicas": workers,
            "head": {
                "podName": head["metadata"]["name"] if head else "",
                "serviceName": f"{cluster['metadata']['name']}-head-svc",
            },
            "conditions": _refusal(refused, "Worker" if head else "Head"),
            "observedGeneration": cluster["metadata"]["generation"],
            **({"state": "ready"} if complete else {}),  # never taken back
        }
        if any(old.get(key) != value for key, value in status.items()):
            status["lastUpdateTime"] = now()
            await self._api.patch(RAYCLUSTERS, cluster, {"status": status}, "status")


async def current(api: Api, held: Held, made: Object) -> Object | None:
    """A Pod that we made, as it is now: what was heard may lag behind."""
    namespace, name = made["metadata"]["namespace"], made["metadata"]["name"]
    return held(PODS, namespace, name) or await api.get(PODS, namespace, name)


def _ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _refusal(refused: ApiError | None, which: str) -> list[Object]:
    """The condition by which KubeRay tells that the API server did not admit a Pod."""
    if refused is None:
        return []
    about = {"reason": f"FailedCreate{which}Pod", "message": refused.message, "lastTransitionTime": now()}
    return [{"type": "ReplicaFailure", "status": "True", **about}]
