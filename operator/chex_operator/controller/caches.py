"""What the operator watches, and which job a change concerns."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from chex_operator.controller.pod_failures import PodFailures
from chex_operator.controller.pods import project_pod
from chex_operator.controller.projections import (
    AttemptObjectProjection,
    JobProjection,
    RuntimeProjection,
    project_batch_job,
    project_config_map,
    project_job,
    project_ray_job,
    project_runtime,
)
from chex_operator.kube.clock import Clock
from chex_operator.kube.informer import Informer, Key, Source
from chex_operator.kube.resource import (
    BATCH_JOBS,
    CLUSTER_RUNTIMES,
    CONFIGMAPS,
    JOBS,
    PODS,
    RAYJOBS,
    RUNTIMES,
    Object,
    Resource,
)
from chex_operator.rendering.names import JOB_UID_LABEL, ROLE_LABEL

FOLLOWED_CONFIG_MAPS = f"{JOB_UID_LABEL},{ROLE_LABEL} in (plan,progress)"
Projection = TypeVar("Projection")


class Following(Protocol):
    """An informer of any kind."""

    @property
    def has_synced(self) -> bool: ...
    async def wait_synced(self) -> None: ...
    async def run(self) -> None: ...


class _Child(Protocol):
    @property
    def job_uid(self) -> str: ...


Child = TypeVar("Child", bound=_Child)


class Caches:
    """One informer for each kind. In namespaced mode there are no cluster runtimes.

    `enqueue` is called with the key of a job whenever an object of it changes.
    """

    def __init__(
        self, client: Source, clock: Clock, namespace: str | None, enqueue: Callable[[Key], None]
    ) -> None:
        self._enqueue = enqueue
        self._key_of: dict[str, Key] = {}

        def of_namespace(
            resource: Resource, project: Callable[[Object], Projection | None]
        ) -> Informer[Projection]:
            return Informer(client, resource, project=project, namespace=namespace, clock=clock)

        def of_jobs(
            resource: Resource, project: Callable[[Object], Child | None], selector: str = JOB_UID_LABEL
        ) -> Informer[Child]:
            informer = Informer(
                client,
                resource,
                project=project,
                namespace=namespace,
                label_selector=selector,
                index_label=JOB_UID_LABEL,
                clock=clock,
            )
            informer.add_handler(self._child_changed)
            return informer

        self.jobs = of_namespace(JOBS, project_job)
        self.jobs.add_handler(self._job_changed)
        self.runtimes = of_namespace(RUNTIMES, project_runtime)
        self.runtimes.add_handler(self._runtime_changed)
        self.cluster_runtimes: Informer[RuntimeProjection] | None = None
        if namespace is None:
            self.cluster_runtimes = of_namespace(CLUSTER_RUNTIMES, project_runtime)
            self.cluster_runtimes.add_handler(self._runtime_changed)
        self.ray_jobs = of_jobs(RAYJOBS, project_ray_job)
        self.batch_jobs = of_jobs(BATCH_JOBS, project_batch_job)
        self.pods = of_jobs(PODS, project_pod)
        self.pod_failures = PodFailures(clock)
        self.pods.add_handler(self.pod_failures.record_change)
        self.config_maps = of_jobs(CONFIGMAPS, project_config_map, FOLLOWED_CONFIG_MAPS)

    def following(self) -> dict[str, Following]:
        """All informers, by what they follow."""
        found: dict[str, Following] = {
            "chextrainingjobs": self.jobs,
            "chexruntimes": self.runtimes,
            "rayjobs": self.ray_jobs,
            "jobs": self.batch_jobs,
            "pods": self.pods,
            "configmaps": self.config_maps,
        }
        if self.cluster_runtimes is not None:
            found["clusterchexruntimes"] = self.cluster_runtimes
        return found

    def missing(self) -> list[str]:
        """The kinds that have not been listed yet."""
        return [name for name, informer in self.following().items() if not informer.has_synced]

    def runtime(self, kind: str, namespace: str, name: str) -> RuntimeProjection | None:
        """The runtime that a job in this namespace names."""
        if kind == "ChexRuntime":
            return self.runtimes.get(namespace, name)
        return self.cluster_runtimes.get(None, name) if self.cluster_runtimes is not None else None

    def has_children(self, namespace: str, job_uid: str) -> bool:
        """Whether any object of a job is left."""
        followed = (self.ray_jobs, self.batch_jobs, self.pods, self.config_maps)
        return any(informer.has_labelled(namespace, job_uid) for informer in followed)

    def orphans(self) -> list[AttemptObjectProjection]:
        """RayJobs whose job is gone."""
        return [child for child in self.ray_jobs.list() if child.job_uid not in self._key_of]

    def enqueue_all(self) -> None:
        """Enqueue every job."""
        for key in self._key_of.values():
            self._enqueue(key)

    def _job_changed(self, key: Key, old: JobProjection | None, new: JobProjection | None) -> None:
        if old is not None and (new is None or new.uid != old.uid):
            self._key_of.pop(old.uid, None)
        if new is not None:
            self._key_of[new.uid] = key
        self._enqueue(key)

    def _child_changed(self, child: Key, old: Child | None, new: Child | None) -> None:
        for held in (old, new):
            key = self._key_of.get(held.job_uid) if held is not None else None
            if key is not None and key[0] == child[0]:
                self._enqueue(key)

    def _runtime_changed(
        self, key: Key, _old: RuntimeProjection | None, _new: RuntimeProjection | None
    ) -> None:
        namespace, name = key
        kind = "ChexRuntime" if namespace else "ClusterChexRuntime"
        for job in self.jobs.list():
            if job.runtime == (kind, name) and namespace in ("", job.namespace):
                self._enqueue((job.namespace, job.name))
