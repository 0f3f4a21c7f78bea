"""What is taken for an orphan. The garbage collector's part is tested with a real one."""

import asyncio
from typing import Any

import pytest

from chex_operator.controller.caches import Caches
from chex_operator.controller.orphans import sweep
from chex_operator.kube.errors import NotFound
from chex_operator.kube.resource import RAYCLUSTERS, RAYJOBS, Object, Resource
from chex_operator.kube.wire import Page
from chex_operator.rendering.names import JOB_UID_LABEL
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock


class Api:
    """Holds RayClusters, and one RayJob that no cache has heard of."""

    def __init__(self, *clusters: Object) -> None:
        self._clusters = list(clusters)
        self.deleted: list[tuple[Resource, str, str | None]] = []

    async def list_page(self, resource: Resource, *_: Any, continue_token: str = "", **__: Any) -> Page:
        assert resource is RAYCLUSTERS
        first, rest = self._clusters[:1], self._clusters[1:]
        return Page(rest, "9", "") if continue_token else Page(first, "9", "more")

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        if (resource, name) != (RAYJOBS, "lives"):
            raise NotFound(404, "NotFound", name)
        return {"metadata": {"name": name, "namespace": namespace, "uid": "uid-of-lives"}}

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str | None = None) -> None:
        self.deleted.append((resource, name, uid))


def ray_cluster(name: str, *owner: str) -> Object:
    owners = [{"kind": "RayJob", "name": owner[0], "uid": owner[1], "controller": True}] if owner else []
    labels = {JOB_UID_LABEL: "u"}
    metadata = {"namespace": "n", "name": name, "uid": f"uid-of-{name}", "labels": labels}
    return {"metadata": {**metadata, "ownerReferences": owners}}


@pytest.mark.parametrize(
    ("cluster", "orphaned"),
    [
        (ray_cluster("a", "lives", "uid-of-lives"), False),
        (ray_cluster("a", "lives", "uid-of-the-one-before"), True),
        (ray_cluster("a", "gone", "uid-of-gone"), True),
        (ray_cluster("a"), True),
    ],
    ids=["its RayJob lives", "another RayJob bears its name", "its RayJob is gone", "left without an owner"],
)
def test_a_ray_cluster_that_has_lost_its_ray_job_is_deleted_by_its_uid(
    cluster: Object, orphaned: bool
) -> None:
    client: Any = Api(ray_cluster("another", "lives", "uid-of-lives"), cluster)
    caches = Caches(client, VirtualClock(), None, lambda _: None)
    assert asyncio.run(sweep(caches, client, None)) == int(orphaned)
    assert client.deleted == ([(RAYCLUSTERS, "a", "uid-of-a")] if orphaned else [])
