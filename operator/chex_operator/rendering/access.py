"""What the driver of an attempt may do at the API server: patch its own progress."""

from chex_operator.kube.resource import Object
from chex_operator.rendering.attempt import Runnable
from chex_operator.rendering.names import attempt_name, metadata, progress_name
from chex_operator.rendering.pods import service_account_name

RBAC = "rbac.authorization.k8s.io"


def progress_access(attempt: Runnable) -> tuple[Object, Object]:
    """A Role for one ConfigMap by its name, and its binding to the runtime's ServiceAccount."""
    reference = attempt.reference
    name = attempt_name(reference)
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [progress_name(name)],
        "verbs": ["get", "patch"],
    }
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": metadata(reference, name),
        "rules": [rule],
    }
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": metadata(reference, name),
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [
            {
                "kind": "ServiceAccount",
                "name": service_account_name(attempt.runtime),
                "namespace": reference.job.namespace,
            }
        ],
    }
    return role, binding
