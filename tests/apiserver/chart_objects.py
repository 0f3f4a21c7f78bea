"""Rendered objects of the chart at an API server: where they are kept, how they get there, and the operator's identity among them.

A test of the operator runs it with the chart's own permissions, and as the chart would:

    objects = render({"watchNamespace": namespace}, namespace=namespace)
    apply_objects(server, objects)
    kubeconfig = write_kubeconfig(path, server, operator_token(server, objects))
    OperatorProcess(kubeconfig, log, *operator_options(objects), ...)
"""

import json
from collections.abc import Iterable

from chex_operator.kube.resource import Object
from tests.apiserver.control_plane import Answer, ApiClient
from tests.chart.render import is_hook, the

GROUPS = {
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Pod": ("/api/v1", "pods"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "Service": ("/api/v1", "services"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
}
"""Kinds that every API server has; those of the Prometheus operator are not among them."""


def path_of(rendered: Object) -> str:
    """Where an object is kept."""
    group, plural = GROUPS[rendered["kind"]]
    namespace = rendered["metadata"].get("namespace")
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"{group}{within}/{plural}/{rendered['metadata']['name']}"


def apply(server: ApiClient, rendered: Object, *, dry_run: bool = False) -> Answer:
    """Server-side apply of one object, unknown and repeated fields refused."""
    options = "fieldManager=chart&force=true&fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
    body = json.dumps(rendered)
    return server.request("PATCH", f"{path_of(rendered)}?{options}", body, "application/apply-patch+yaml")


def apply_objects(server: ApiClient, objects: Iterable[Object]) -> None:
    """Apply all that an install creates. Raises `AssertionError` for the first that is refused."""
    for each in objects:
        if not is_hook(each):
            answer = apply(server, each)
            assert answer.accepted, f"{path_of(each)}: {answer.message}"


def operator_token(server: ApiClient, objects: list[Object]) -> str:
    """A token, good for an hour, of the ServiceAccount that the chart's Deployment runs as."""
    deployment = the(objects, "Deployment")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    namespace = deployment["metadata"]["namespace"]
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    answer = server.create(path, {"spec": {"expirationSeconds": 3600}})
    assert answer.accepted, answer.message
    return str(answer.body["status"]["token"])


def operator_options(objects: list[Object]) -> list[str]:
    """The operator's command line, as the chart's Deployment has it, but for the port: tests take any that is free."""
    (container,) = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return [each for each in container["args"] if not each.startswith("--port=")]
