"""Kinds of the API, as the operator addresses them, and their objects: plain dicts, as JSON has them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]
"""An object of the API, as decoded from JSON."""


@dataclass(frozen=True)
class Resource:
    """A kind and where the API server serves it. `group` is empty for the core kinds."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As it stands in a manifest: `batch/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str = "") -> str:
        """The URL's path of a collection, an object, or an object's subresource, each part quoted.

        Args:
            namespace: None for all namespaces, and for a kind that lives in none.
            name: None for the collection.
            subresource: Such as `status`; needs a name.

        Raises:
            ValueError: A namespace for a kind that lives in none, one object of a namespaced kind without its
                namespace, or an empty or dotted name, which would address something else.
        """
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.kind} lives in no namespace; got {namespace!r}")
        if name is not None and namespace is None and self.namespaced:
            raise ValueError(f"{self.kind} {name!r} needs a namespace")
        if subresource and name is None:
            raise ValueError(f"{subresource} of which {self.kind}?")
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        for part in parts:
            if part in {"", ".", ".."}:
                raise ValueError(f"{part!r} cannot be part of a path of {self.kind}")
        return "/" + "/".join(quote(part, safe="") for part in parts)


JOBS = Resource("chexdragon.dev", "v1alpha1", "chextrainingjobs", "ChexTrainingJob")
RUNTIMES = Resource("chexdragon.dev", "v1alpha1", "chexruntimes", "ChexRuntime")
CLUSTER_RUNTIMES = Resource(
    "chexdragon.dev", "v1alpha1", "clusterchexruntimes", "ClusterChexRuntime", namespaced=False
)
RAYJOBS = Resource("ray.io", "v1", "rayjobs", "RayJob")
RAYCLUSTERS = Resource("ray.io", "v1", "rayclusters", "RayCluster")
BATCH_JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLEBINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
NETWORKPOLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
