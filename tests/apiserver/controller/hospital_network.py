"""A namespace with a runtime, an operator that serves it, and jobs."""

from __future__ import annotations

import copy
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chex_operator.kube.resource import JOBS, PODS, RAYJOBS, RUNTIMES, Object, Resource
from tests.apiserver.chart_objects import apply_objects, operator_options, operator_token
from tests.apiserver.control_plane import ApiClient, write_kubeconfig
from tests.apiserver.controller.operator_process import OperatorProcess
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import eventually
from tests.apiserver.ray_engine.script import DriverRun, Part
from tests.chart.render import render
from tests.patience import PATIENCE_SECONDS
from tests.pipeline.manifest import tiny_job
from tests.unit.chex_operator.rendering.attempts import RUNTIME

ENDED_PHASES = ("Complete", "Failed")
MERGE_PATCH = "application/merge-patch+json"


class HospitalNetwork:
    """What users and tests do in one namespace."""

    def __init__(
        self,
        server: ApiClient,
        engine: Engine,
        namespace: str,
        operator: OperatorProcess,
        another: Callable[[], OperatorProcess],
    ) -> None:
        self.server, self.engine, self.namespace, self.operator = server, engine, namespace, operator
        self.another = another
        """Makes one more replica of the operator, which it does not start."""

    def plan(self, part: Part | DriverRun, **which: Any) -> None:
        """Give attempts of this namespace a part; see `Script.plan`."""
        self.engine.script.plan(part, namespace=self.namespace, **which)

    def apply(
        self, name: str = "tiny", change: Callable[[Object], None] | None = None, **policy: Any
    ) -> Object:
        """Apply the tiny job, with this run policy."""
        answer = self.try_to_apply(self.manifest(name, change, **policy))
        assert answer.accepted, answer.message
        return answer.body

    def manifest(
        self, name: str = "tiny", change: Callable[[Object], None] | None = None, **policy: Any
    ) -> Object:
        made = copy.deepcopy(tiny_job(f"s3://radiology-models/{self.namespace}/{name}"))
        made["metadata"] = {"name": name, "namespace": self.namespace}
        made["spec"]["runtimeRef"] = {"kind": "ChexRuntime", "name": "h200"}
        made["spec"]["runPolicy"] = policy
        if change is not None:
            change(made["spec"])
        return made

    def try_to_apply(self, manifest: Object):
        """By server-side apply, as `kubectl apply --server-side` does."""
        path = JOBS.path(self.namespace, manifest["metadata"]["name"])
        query = "?fieldManager=scientist&force=true&fieldValidation=Strict"
        return self.server.request(
            "PATCH", path + query, json.dumps(manifest), "application/apply-patch+yaml"
        )

    def create(self, resource: Resource, body: Object) -> Object:
        answer = self.server.create(resource.path(self.namespace if resource.namespaced else None), body)
        assert answer.accepted, answer.message
        return answer.body

    def list(self, resource: Resource, selector: str = "") -> list[Object]:
        answer = self.server.request("GET", f"{resource.path(self.namespace)}?labelSelector={selector}")
        assert answer.accepted, answer.message
        return answer.body["items"]

    def delete(self, resource: Resource, name: str) -> None:
        answer = self.server.request("DELETE", resource.path(self.namespace, name))
        assert answer.accepted, answer.message

    def patch(self, resource: Resource, name: str, change: Object) -> Object:
        answer = self.server.request(
            "PATCH", resource.path(self.namespace, name), json.dumps(change), MERGE_PATCH
        )
        assert answer.accepted, answer.message
        return answer.body

    def job(self, name: str = "tiny") -> Object | None:
        answer = self.server.request("GET", JOBS.path(self.namespace, name))
        return answer.body if answer.accepted else None

    def status(self, name: str = "tiny") -> Object:
        return (self.job(name) or {}).get("status") or {}

    def stage(self, stage: str, name: str = "tiny") -> Object:
        return next((each for each in self.status(name).get("stages", []) if each["name"] == stage), {})

    def condition(self, kind: str, name: str = "tiny") -> Object:
        return next((each for each in self.status(name).get("conditions", []) if each["type"] == kind), {})

    def reaches(self, phase: str, name: str = "tiny", *, seconds: float = PATIENCE_SECONDS) -> Object:
        """Wait until the job is in this phase; its status then."""

        def look() -> Object | None:
            status = self.status(name)
            return status if status.get("phase") == phase else None

        try:
            return eventually(look, f"{name} is not {phase}", seconds=seconds)
        except AssertionError as late:
            late.add_note(json.dumps(self.status(name), indent=1)[:6000])
            late.add_note(self.operator.text()[-4000:])
            raise

    def comes_to(
        self, stage: str, *, reason: str = "", state: str = "Running", seconds: float = PATIENCE_SECONDS
    ) -> Object:
        """Wait until a stage is in this state, for this reason."""

        def look() -> Object | None:
            seen = self.stage(stage)
            return seen if seen.get("state") == state and reason in ("", seen.get("reason")) else None

        try:
            return eventually(look, f"{stage} is not {state} {reason}", seconds=seconds)
        except AssertionError as late:
            late.add_note(json.dumps(self.status(), indent=1)[:6000])
            late.add_note(self.operator.text()[-4000:])
            raise

    def live_pods(self) -> list[str]:
        """Names of Pods that may use machines."""
        return [
            pod["metadata"]["name"]
            for pod in self.list(PODS)
            if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]

    def ray_jobs(self) -> list[str]:
        return sorted(item["metadata"]["name"] for item in self.list(RAYJOBS))


@contextmanager
def hospital_network(
    server: ApiClient,
    engine: Engine,
    folder: Path,
    *,
    whole_cluster: bool = False,
    address: str | None = None,
    process: type[OperatorProcess] = OperatorProcess,
    started: bool = True,
) -> Iterator[HospitalNetwork]:
    """A namespace of its own, served by an operator of its own with the permissions that the chart gives.

    Args:
        server: The API server.
        engine: Plays KubeRay and the nodes there.
        folder: For logs and kubeconfigs.
        whole_cluster: Whether the operator serves all namespaces; then there is no runtime yet.
        address: Where the operator finds the API server, if not where it is: a proxy's.
        process: How a replica of the operator is started.
        started: Whether there is one from the beginning.
    """
    namespace = f"net-{uuid.uuid4().hex[:8]}"
    assert server.create("/api/v1/namespaces", {"metadata": {"name": namespace}}).accepted
    account = {"metadata": {"name": "chex-jobs"}}
    assert server.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", account).accepted
    values = {"crds": {"enabled": False}} if whole_cluster else {"watchNamespace": namespace}
    objects = render(values, release=namespace, namespace=namespace)
    apply_objects(server, objects)
    token = operator_token(server, objects)
    kubeconfig = write_kubeconfig(folder / f"{namespace}.kubeconfig", server, token, server=address)
    options = (*operator_options(objects), f"--lease-namespace={namespace}")
    numbers = itertools.count(1)

    def replica() -> OperatorProcess:
        name = f"replica-{next(numbers)}"
        return process(kubeconfig, folder / f"{namespace}-{name}.log", *options, f"--identity={name}")

    network = HospitalNetwork(server, engine, namespace, replica(), replica)
    if not whole_cluster:
        network.create(RUNTIMES, runtime_object(RUNTIMES, "h200"))
    try:
        if started:
            network.operator.start()
        yield network
    finally:
        network.operator.kill()


def runtime_object(resource: Resource, name: str) -> Object:
    """A runtime that lets jobs use the folder of their namespace."""
    spec = copy.deepcopy(RUNTIME)
    spec["storage"]["readPrefixes"] = spec["storage"]["writePrefixes"] = [
        "s3://radiology-models/{namespace}/"
    ]
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name},
        "spec": spec,
    }
