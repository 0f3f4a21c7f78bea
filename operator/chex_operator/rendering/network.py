"""Whom the Pods of an attempt may reach, and who may reach them.

In: each other, KubeRay at the dashboard, Prometheus at the metrics. Out: DNS, each other, S3 and credential endpoints; the head
alone the API server, for its progress. What the runtime does not name is closed.
"""

from chex_operator.kube.resource import Object
from chex_operator.rendering.attempt import PREFLIGHT, AttemptReference, Runnable
from chex_operator.rendering.names import ATTEMPT_LABEL, attempt_name, metadata

DASHBOARD_PORT = 8265
METRICS_PORT = 8080
DNS_PORT = 53
HEAD = {"ray.io/node-type": "head"}


def network_policies(attempt: Runnable) -> tuple[Object, ...]:
    """One policy for all Pods of the attempt, and one more for its head where API server addresses are named.

    A preflight is one Pod, so one policy says all.
    """
    reference, network = attempt.reference, attempt.runtime.network
    name = attempt_name(reference)
    own = {"podSelector": {"matchLabels": {ATTEMPT_LABEL: name}}}
    ingress: list[Object] = [{"from": [own]}]
    for selector, port in (
        (network.kube_ray_selector, DASHBOARD_PORT),
        (network.prometheus_selector, METRICS_PORT),
    ):
        if selector:
            peer = {"namespaceSelector": {}, "podSelector": {"matchLabels": dict(selector)}}
            ingress.append({"from": [peer], "ports": [{"protocol": "TCP", "port": port}]})
    dns = [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]
    egress: list[Object] = [{"ports": dns}, {"to": [own]}]
    egress += _to(network.storage_cidrs) + _to(network.credential_cidrs)
    to_api_server = _to(network.api_server_cidrs)
    if reference.kind == PREFLIGHT:
        return (_policy(reference, name, {}, {"ingress": [], "egress": egress + to_api_server}),)
    policies = [_policy(reference, name, {}, {"ingress": ingress, "egress": egress})]
    if to_api_server:
        policies.append(_policy(reference, f"{name}-head", HEAD, {"egress": to_api_server}))
    return tuple(policies)


def _to(cidrs: tuple[str, ...]) -> list[Object]:
    return [{"to": [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]}] if cidrs else []


def _policy(attempt: AttemptReference, name: str, selected: dict[str, str], rules: Object) -> Object:
    selector = {"matchLabels": {ATTEMPT_LABEL: attempt_name(attempt), **selected}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(attempt, name),
        "spec": {
            "podSelector": selector,
            "policyTypes": ["Ingress", "Egress"] if "ingress" in rules else ["Egress"],
            **rules,
        },
    }
