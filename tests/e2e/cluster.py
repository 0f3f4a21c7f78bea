"""The cluster, through kubectl: what a data scientist has."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any

import yaml

from tests.pipeline.manifest import tiny_job

Plain = dict[str, Any]
ENDS = ("Complete", "Failed")


class Cluster:
    """One namespace of a cluster that serves `ChexTrainingJob`s."""

    def __init__(self, namespace: str, runtime: str, artifacts: str) -> None:
        self._namespace, self._runtime, self._artifacts = namespace, runtime, artifacts.rstrip("/")

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What kubectl prints. Raises `AssertionError` with its complaint."""
        command = [os.environ.get("KUBECTL", "kubectl"), f"--namespace={self._namespace}", *arguments]
        ended = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
        return ended.stdout

    def submit(self, *, epochs: int = 6, **policy: Any) -> str:
        """Apply the smallest job under a name of its own; the name."""
        name = f"e2e-{uuid.uuid4().hex[:6]}"
        self.apply(name, epochs=epochs, **policy)
        return name

    def apply(self, name: str, *, epochs: int = 6, **policy: Any) -> None:
        manifest = tiny_job(f"{self._artifacts}/{name}")
        manifest["metadata"] = {"name": name}
        spec = manifest["spec"]
        spec["runtimeRef"] = {"name": self._runtime}
        spec["runPolicy"] = {"parallelism": 1, **policy}
        for run in spec["pretraining"]:
            run["workers"] = {"pool": "gpu", "count": 2}
            run["optimization"]["epochs"] = epochs
            run["checkpoint"] = {"everyMinutes": 0.05}
        for hospital in spec["hospitals"]:
            hospital["workers"] = {"pool": "gpu", "count": 1}
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump(manifest))

    def status(self, name: str) -> Plain:
        return json.loads(self.kubectl("get", "ctj", name, "-o", "json")).get("status") or {}

    def stage(self, name: str, stage: str) -> Plain:
        return next((each for each in self.status(name).get("stages", []) if each["name"] == stage), {})

    def pods(self, selector: str) -> list[Plain]:
        return json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]

    def evict(self, pod: Plain) -> None:
        """What `kubectl drain` does with each Pod of a node."""
        about = {"name": pod["metadata"]["name"], "namespace": self._namespace}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
        path = f"/api/v1/namespaces/{self._namespace}/pods/{about['name']}/eviction"
        self.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(eviction))

    def ray_pods_of(self, name: str) -> list[Plain]:
        return [
            pod
            for pod in self.pods(f"app.kubernetes.io/instance={name},ray.io/node-type")
            if pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]

    def wait(self, name: str, true: Callable[[], object], what: str, *, seconds: float = 900.0) -> None:
        """Wait until something holds. Raises `AssertionError` with the job's status."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{what}: {json.dumps(self.status(name), indent=1)}"
            time.sleep(2.0)

    def comes_to(self, name: str, stage: str, *, attempt: int = 1, percent: int = 0) -> None:
        """Wait until a stage runs in this attempt and has got so far."""

        def there() -> bool:
            seen = self.stage(name, stage)
            far = seen.get("reason") == "Running" and seen.get("progressPercent", 0) >= percent
            return seen.get("state") == "Running" and seen.get("attempt", 0) >= attempt and far

        self.wait(name, there, f"{stage} does not run")

    def reaches(self, name: str, phase: str) -> Plain:
        self.wait(
            name,
            lambda: self.status(name).get("phase") in {phase, *ENDS},
            f"{name} is not {phase}",
        )
        status = self.status(name)
        assert status["phase"] == phase, json.dumps(status, indent=1)
        return status
