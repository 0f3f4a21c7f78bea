"""What the operator does for one attempt, done by hand: so that the engine has tests of its own."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from chex_api.run_policy import RunPolicy
from chex_api.runtime import RuntimeSpec
from chex_operator.kube.resource import (
    BATCH_JOBS,
    CONFIGMAPS,
    JOBS,
    NETWORKPOLICIES,
    PODS,
    RAYCLUSTERS,
    RAYJOBS,
    ROLEBINDINGS,
    ROLES,
    Object,
    Resource,
)
from chex_operator.rendering import (
    JobReference,
    attempt_name,
    preflight_job,
    preflight_support,
    ray_job,
    supporting_objects,
)
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.kube.access import job
from tests.patience import PATIENCE_SECONDS
from tests.pipeline.manifest import tiny_job
from tests.unit.chex_operator.rendering.attempts import ARTIFACTS, attempt, preflight, runtime

BY_KIND = {
    each.kind: each
    for each in (BATCH_JOBS, CONFIGMAPS, NETWORKPOLICIES, PODS, RAYCLUSTERS, RAYJOBS, ROLEBINDINGS, ROLES)
}
Found = TypeVar("Found")


class Launchpad:
    """A namespace with a job that owns attempts; without an owner the garbage collector would take them."""

    def __init__(self, server: ApiClient) -> None:
        self.server = server
        self.namespace = f"ray-{uuid.uuid4().hex[:8]}"
        self.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.create(
            f"/api/v1/namespaces/{self.namespace}/serviceaccounts", {"metadata": {"name": "chex-jobs"}}
        )
        made = self.create(JOBS.path(self.namespace), job(self.namespace, "tiny"))
        self._since = made["metadata"]["resourceVersion"]
        self.owner = JobReference(self.namespace, "tiny", made["metadata"]["uid"], 1)

    def launch(
        self,
        kind: str = "adapt",
        name: str = "north",
        *,
        rename: str = "",
        policy: RunPolicy | None = None,
        artifacts: str = ARTIFACTS,
        storage: Object | None = None,
        **spec: Any,
    ) -> str:
        """Create everything of an attempt; the name of its RayJob.

        Args:
            kind: Of the stage.
            name: Of the stage.
            rename: Another name for the RayJob than the attempt's.
            policy: The job's run policy.
            artifacts: Where the job's artifacts go.
            storage: The runtime's storage.
            spec: Replaces fields of the RayJob's spec; None removes one.
        """
        rendered = attempt(
            kind,
            name,
            number=1,
            job=self.owner,
            artifacts=artifacts,
            policy=policy or RunPolicy(),
            runtime=_runtime(storage),
        )
        for each in supporting_objects(rendered):
            self.create(BY_KIND[each["kind"]].path(self.namespace), each)
        made = ray_job(rendered)
        made["spec"] |= spec
        made["spec"] = {key: value for key, value in made["spec"].items() if value is not None}
        made["metadata"]["name"] = rename or made["metadata"]["name"]
        self.create(RAYJOBS.path(self.namespace), made)
        return made["metadata"]["name"]

    def launch_preflight(self, *, artifacts: str = ARTIFACTS, storage: Object | None = None) -> str:
        """Create everything of a preflight; the name of its Job."""
        rendered = replace(
            preflight(job=self.owner),
            manifest=tiny_job(artifacts),
            policy=RunPolicy(),
            runtime=_runtime(storage),
        )
        for each in (*preflight_support(rendered), preflight_job(rendered)):
            self.create(BY_KIND[each["kind"]].path(self.namespace), each)
        return attempt_name(rendered.reference)

    def create(self, collection: str, item: Object) -> Object:
        answer = self.server.create(collection, item)
        assert answer.accepted, answer.message
        return answer.body

    def get(self, resource: Resource, name: str) -> Object | None:
        answer = self.server.request("GET", resource.path(self.namespace, name))
        assert answer.code in (200, 404), answer.message
        return answer.body if answer.accepted else None

    def list(self, resource: Resource, selector: str = "") -> list[Object]:
        answer = self.server.request("GET", f"{resource.path(self.namespace)}?labelSelector={selector}")
        assert answer.accepted, answer.message
        return answer.body["items"]

    def pods(self, role: str) -> list[Object]:
        """Pods of the head or of the workers."""
        return self.list(PODS, f"ray.io/node-type={role}")

    def patch(self, resource: Resource, name: str, change: Object) -> Object:
        path = resource.path(self.namespace, name)
        answer = self.server.request("PATCH", path, json.dumps(change), "application/merge-patch+json")
        assert answer.accepted, answer.message
        return answer.body

    def delete(self, resource: Resource, name: str) -> None:
        answer = self.server.request("DELETE", resource.path(self.namespace, name))
        assert answer.accepted, answer.message

    def status(self, name: str) -> Object:
        """Status of a RayJob."""
        held = self.get(RAYJOBS, name)
        assert held is not None, f"there is no RayJob {name}"
        return held.get("status", {})

    def reaches(self, name: str, state: str) -> Object:
        """Wait until the RayJob's `jobDeploymentStatus` is this; the status then."""
        return eventually(
            lambda: status if (status := self.status(name)).get("jobDeploymentStatus") == state else None,
            f"{name} is not {state}",
        )

    def told(self, name: str) -> dict[str, Any]:
        """What the driver of an attempt wrote, decoded."""
        held = self.get(CONFIGMAPS, f"{name}-progress")
        assert held is not None
        return {key: json.loads(text) for key, text in (held.get("data") or {}).items() if key != "stop"}

    def patch_progress(self, name: str, data: dict[str, str]) -> None:
        """Write into the ConfigMap of an attempt, as the operator does."""
        self.patch(CONFIGMAPS, f"{name}-progress", {"data": data})

    def history(self, resource: Resource, name: str) -> list[Object]:
        """Every version of an object since it was created, as a watch tells them; without a name, of all objects."""
        query = f"watch=1&timeoutSeconds=3&resourceVersion={self._since}"
        query += f"&fieldSelector=metadata.name={name}" if name else ""
        answer = self.server.request("GET", f"{resource.path(self.namespace)}?{query}")
        text = answer.message or json.dumps(answer.body)
        return [json.loads(line)["object"] for line in text.splitlines() if line]

    def states(self, name: str) -> list[tuple[str, str]]:
        """What a RayJob went through: `jobDeploymentStatus` and `jobStatus`, without repetitions."""
        seen: list[tuple[str, str]] = []
        for version in self.history(RAYJOBS, name):
            status = version.get("status", {})
            state = (status.get("jobDeploymentStatus", ""), status.get("jobStatus", ""))
            if not seen or seen[-1] != state:
                seen.append(state)
        return seen


def _runtime(storage: Object | None) -> RuntimeSpec:
    return runtime(**({"storage": storage} if storage else {}))


def eventually(
    look: Callable[[], Found | None],
    otherwise: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    pause: float = 0.02,
) -> Found:
    """What `look` finds once it finds something; `pause` lies between two looks."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(pause)
    raise AssertionError(f"{otherwise} after {seconds:.0f} s")
