"""Alerts and dashboard speak of metrics that the operator has, with labels and values that these have."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from chex_api.status import StageState
from chex_operator.kube.clock import SystemClock
from chex_operator.kube.metrics import Metrics
from chex_operator.kube.worker import PassResult
from tests.chart.render import CHART, NAMESPACE, render, the

DASHBOARD = json.loads((CHART / "dashboards" / "chex-operator.json").read_text())
METRIC = re.compile(r"\b(?:chex_operator|process)_[a-z0-9_]+")
SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")
OF_PROMETHEUS = {"namespace", "job", "pod"}
"""Labels that a ServiceMonitor's scrape adds."""
VALUES = {"result": set(get_args(PassResult)), "state": set(get_args(StageState))}


def operator_metrics() -> dict[str, set[str]]:
    """Names of all series, with their labels, once each of them was used."""
    metrics = Metrics(SystemClock())
    metrics.pass_ended("ok", 0.1)
    for verb in ("list", "watch"):
        metrics.call_ended(verb, "pods", 200, 0.1)
    metrics.event_ended("written")
    metrics.set_stages({("pretrain", "Running"): 1})
    metrics.add_gpu_seconds("gpu", 1.0)
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def alerts() -> list[dict[str, Any]]:
    (group,) = the(render({"prometheusRule": {"enabled": True}}), "PrometheusRule")["spec"]["groups"]
    return group["rules"]


def queries() -> Iterator[str]:
    """Of the alerts, the panels, and the variables of the dashboard."""
    yield from (alert["expr"] for alert in alerts())
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    yield from (each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query")


@pytest.mark.parametrize("query", list(queries()))
def test_queries_name_metrics_and_labels_that_exist(query: str) -> None:
    known = operator_metrics()
    named = set(METRIC.findall(query))
    assert named
    assert named <= set(known)
    for metric, matchers in SELECTOR.findall(query):
        for label, operation, value in MATCHER.findall(matchers):
            assert label in known[metric] | OF_PROMETHEUS
            if operation == "=" and label in VALUES:
                assert value in VALUES[label]
    allowed = set().union(*(known[metric] for metric in named)) | OF_PROMETHEUS
    for labels in GROUPED.findall(query):
        assert {label.strip() for label in labels.split(",")} <= allowed


@pytest.mark.parametrize("query", list(queries()))
def test_queries_are_whole(query: str) -> None:
    assert all(query.count(opening) == query.count(closing) for opening, closing in ("()", "{}", "[]"))


def test_each_part_of_the_operator_is_shown() -> None:
    shown = set(METRIC.findall(json.dumps(DASHBOARD)))
    bases = {re.sub(r"_(bucket|count|sum|created|total)$", "", name) for name in shown}
    ours = {re.sub(r"_(bucket|count|sum|created|total)$", "", name) for name in operator_metrics()}
    unshown = {name for name in ours - bases if name.startswith("chex_operator")}
    assert unshown == {"chex_operator_last_list_timestamp_seconds"}  # lists are rare: their age means nothing


def test_alerts_are_of_this_release_only() -> None:
    for alert in alerts():
        for _, matchers in SELECTOR.findall(alert["expr"]):
            assert f'namespace="{NAMESPACE}", job="chex-operator"' in matchers


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alerts_say_what_happened_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert alert["for"]
    assert alert["annotations"]["summary"].endswith(".")
    assert len(alert["annotations"]["description"].split()) >= 10


def test_the_dashboard_arrives_as_it_is() -> None:
    config_map = the(render({"dashboard": {"enabled": True, "labels": {"grafana": "yes"}}}), "ConfigMap")
    assert json.loads(config_map["data"]["chex-operator.json"]) == DASHBOARD
    assert config_map["metadata"]["labels"]["grafana"] == "yes"


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert all(0 <= x < 24 for x, _ in cells)
