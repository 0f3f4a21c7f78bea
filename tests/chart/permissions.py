"""What the operator may do at the API server, each permission with what needs it. More is a fault, and so is less."""

from collections.abc import Iterable

from chex_operator.kube.resource import Object

Permission = tuple[str, str, str]
"""API group, resource (with subresource) and verb."""


def _of(group: str, resource: str, *verbs: str) -> set[Permission]:
    return {(group, resource, verb) for verb in verbs}


READ = ("get", "list", "watch")
JOBS = (
    _of("chexdragon.dev", "chextrainingjobs", *READ, "patch")  # finalizer and annotations, not the spec
    | _of("chexdragon.dev", "chextrainingjobs/status", "patch")
    | _of("chexdragon.dev", "chextrainingjobs/finalizers", "update")  # owner references that block deletion
    | _of("chexdragon.dev", "chexruntimes", *READ)
)
CHILDREN = (
    _of("ray.io", "rayjobs", *READ, "create", "delete")  # created once, never applied again
    | _of("ray.io", "rayclusters", "list", "delete")  # that have outlived their RayJob
    | _of("batch", "jobs", *READ, "create", "delete")  # preflight
    | _of("", "configmaps", *READ, "create", "patch", "delete")  # plans, stage specs, progress
    | _of("", "pods", *READ)  # why they do not start
    | _of("rbac.authorization.k8s.io", "roles", "get", "create", "patch", "delete")  # of a driver
    | _of("rbac.authorization.k8s.io", "rolebindings", "get", "create", "patch", "delete")
    | _of("networking.k8s.io", "networkpolicies", "get", "create", "patch", "delete")
    | _of("events.k8s.io", "events", "create", "patch")
)
IN_ONE_NAMESPACE = JOBS | CHILDREN
IN_THE_CLUSTER = IN_ONE_NAMESPACE | _of("chexdragon.dev", "clusterchexruntimes", *READ)
LEASE = _of("coordination.k8s.io", "leases", "get", "create", "update")
"""In the release's namespace only."""


def granted(role: Object) -> list[Permission]:
    """What a Role or ClusterRole grants; a permission that stands twice is there twice."""
    return [each for rule in role["rules"] for each in _product(rule)]


def _product(rule: Object) -> Iterable[Permission]:
    return (
        (group, resource, verb)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )
