"""What single values do to single objects."""

from typing import Any

import pytest

from chex_operator.kube.resource import Object
from tests.chart.render import DIGEST, NAMESPACE, of_kind, render, the
from tests.chart.value_sets import VALUE_SETS

TEST_POD = {"app.kubernetes.io/name": "chex-operator", "app.kubernetes.io/instance": "chex-operator",
            "app.kubernetes.io/component": "test"}  # fmt: skip


def pod(values: dict[str, Any] | None = None) -> dict[str, Any]:
    """The operator's Pod."""
    return the(render(values), "Deployment")["spec"]["template"]["spec"]


def container(values: dict[str, Any] | None = None) -> dict[str, Any]:
    """The operator's container."""
    (found,) = pod(values)["containers"]
    return found


def policy(values: dict[str, Any]) -> Object:
    """The rules of the NetworkPolicy."""
    return the(render({"networkPolicy": values}), "NetworkPolicy")["spec"]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({"digest": DIGEST}, f"registry.example/o@{DIGEST}"),
        ({"digest": DIGEST, "tag": "0.1.0"}, f"registry.example/o:0.1.0@{DIGEST}"),
        ({"tag": "0.1.0"}, "registry.example/o:0.1.0"),
    ],
)
def test_the_digest_decides_which_image_runs(image: dict[str, str], reference: str) -> None:
    assert container({"image": {"repository": "registry.example/o", **image}})["image"] == reference


def test_the_operator_gets_its_identity_and_its_options() -> None:
    found = container({"concurrency": 4, "logLevel": "DEBUG"})
    assert found["args"] == [
        "--lease-name=chex-operator",
        "--port=8080",
        "--concurrency=4",
        "--log-level=DEBUG",
    ]
    fields = {each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"] for each in found["env"]}
    assert fields == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}


def test_the_operator_gets_the_proxy_by_which_it_reaches_the_api_server() -> None:
    found = container({"proxy": {"https": "http://proxy.example:3128", "exceptions": "10.96.0.0/12"}})
    told = {each["name"]: each["value"] for each in found["env"] if "value" in each}
    assert told == {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "10.96.0.0/12"}


def test_probes_ask_the_endpoints_of_the_operator() -> None:
    found = container()
    assert found["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert found["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert found["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]


def test_two_replicas_roll_one_by_one_and_prefer_to_be_apart() -> None:
    spec = the(render(), "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    spread = spec["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    assert {each["whenUnsatisfiable"] for each in spread} == {"ScheduleAnyway"}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30


def test_placement_reaches_the_pod() -> None:
    values = VALUE_SETS["placed"]
    deployment = the(render(values), "Deployment")["spec"]["template"]
    for field in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert deployment["spec"][field] == values[field]
    assert deployment["metadata"]["labels"]["team"] == "radiology"
    assert deployment["metadata"]["annotations"] == {"example.com/reviewed": "yes"}


def test_a_drain_takes_one_pod_even_where_there_is_only_one() -> None:
    budget = the(render({"replicas": 1}), "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget
    assert of_kind(render({"podDisruptionBudget": {"enabled": False}}), "PodDisruptionBudget") == []


def test_the_operator_reaches_dns_and_the_api_server_only() -> None:
    cidrs = ["10.0.0.1/32", "fd00::1/128"]
    dns, api_server = policy({"apiServer": {"cidrs": cidrs, "ports": [6443]}})["egress"]
    assert [(each["protocol"], each["port"]) for each in dns["ports"]] == [("UDP", 53), ("TCP", 53)]
    assert [each["ipBlock"]["cidr"] for each in api_server["to"]] == cidrs
    assert api_server["ports"] == [{"protocol": "TCP", "port": 6443}]


def test_without_addresses_the_ports_of_api_servers_are_open() -> None:
    _, api_server = policy({})["egress"]
    assert "to" not in api_server
    assert [each["port"] for each in api_server["ports"]] == [443, 6443]


def test_only_the_port_of_metrics_is_open_inwards() -> None:
    (ingress,) = policy({})["ingress"]
    assert ingress == {"ports": [{"protocol": "TCP", "port": "http"}]}


def test_peers_that_are_named_and_the_test_reach_metrics() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    (ingress,) = policy({"metricsFrom": [peer]})["ingress"]
    assert ingress["from"] == [{"podSelector": {"matchLabels": TEST_POD}}, peer]
    assert the(render(), "Pod")["metadata"]["labels"].items() >= TEST_POD.items()


def test_the_test_asks_the_service_whether_the_operator_is_ready() -> None:
    objects = render()
    test, service = the(objects, "Pod"), the(objects, "Service")
    (found,) = test["spec"]["containers"]
    assert found["command"] == ["python", "-c"]
    url = f"http://{service['metadata']['name']}.{NAMESPACE}.svc:{service['spec']['ports'][0]['port']}/readyz"
    assert url in found["args"][0]
    compile(found["args"][0], "test", "exec")


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PrometheusRule"])
def test_monitoring_is_off_until_asked_for(kind: str) -> None:
    assert of_kind(render(), kind) == []
    assert the(render(VALUE_SETS["monitoring"]), kind)["metadata"]["labels"]["release"] == "prometheus"
