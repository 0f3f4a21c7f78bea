"""Values: what is refused, in which words, and that schema, defaults and README speak of the same ones."""

import json
import re
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml

from tests.chart.render import CHART, DIGEST, IMAGE, Refused, render, render_files, with_image
from tests.chart.value_sets import VALUE_SETS

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
README = (CHART / "README.md").read_text()
LEAF_OBJECTS = {
    "global", "serviceAccount.annotations", "resources.requests", "resources.limits", "podLabels", "podAnnotations",
    "nodeSelector", "affinity", "serviceMonitor.labels", "prometheusRule.labels", "dashboard.labels",
}  # fmt: skip
"""Objects whose keys are the user's."""
FREE_OBJECTS = {"global", "affinity"}
"""Those of them that the chart does not look into."""

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown value": ({"replicaCount": 2}, "additional properties 'replicaCount' not allowed"),
    "unknown value inside": ({"crds": {"install": True}}, "additional properties 'install' not allowed"),
    "text for a number": ({"replicas": "2"}, "at '/replicas': got string, want integer"),
    "no replica": ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    "a digest without its algorithm": (
        {"image": {**IMAGE, "digest": "0" * 64}},
        "at '/image/digest'",
    ),
    "a digest that is cut": ({"image": {**IMAGE, "digest": DIGEST[:-1]}}, "at '/image/digest'"),
    "a digest inside the repository": (
        {"image": {**IMAGE, "repository": f"registry.example/x@{DIGEST}"}},
        "at '/image/repository'",
    ),
    "a log level that Python lacks": ({"logLevel": "TRACE"}, "at '/logLevel': value must be one of"),
    "several namespaces": ({"watchNamespace": "a,b"}, "at '/watchNamespace'"),
    "an address without its mask": (
        {"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.1"]}}},
        "at '/networkPolicy/apiServer/cidrs/0'",
    ),
    "no port at all": (
        {"networkPolicy": {"apiServer": {"ports": []}}},
        "at '/networkPolicy/apiServer/ports'",
    ),
    "a peer of everybody": ({"networkPolicy": {"metricsFrom": [{}]}}, "at '/networkPolicy/metricsFrom/0'"),
    "a label that selectors use": (
        {"podLabels": {"app.kubernetes.io/name": "x"}},
        "invalid propertyName 'app.kubernetes.io/name'",
    ),
    "a quantity of words": ({"resources": {"limits": {"memory": "much"}}}, "at '/resources/limits/memory'"),
    "a null where a switch is": (
        {"crds": {"enabled": "yes"}},
        "at '/crds/enabled': got string, want boolean",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_refused_by_name(case: str) -> None:
    values, words = WRONG[case]
    with pytest.raises(Refused) as refused:
        render(values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ({}, "image.repository is not set: say where"),
        ({"repository": "registry.example/chex-operator"}, "image.digest is not set: give the digest"),
        ({"digest": DIGEST}, "image.repository is not set: say where"),
    ],
)
def test_an_image_that_is_not_named_is_refused(image: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        render_files({"image": image})


def test_an_account_that_is_not_named_is_refused() -> None:
    with pytest.raises(Refused, match=r"serviceAccount\.name must say which one exists"):
        render({"serviceAccount": {"create": False}})


@pytest.mark.parametrize("values", VALUE_SETS)
def test_lint_finds_nothing_but_the_lack_of_an_icon(values: str) -> None:
    report = helm_python.lint(CHART, with_image(VALUE_SETS[values]), strict=True, kube_version="v1.33.0")
    assert report["errors"] == []
    assert [each["error"] for each in report["messages"]] == ["icon is recommended"]


def test_kubernetes_before_1_33_is_refused() -> None:
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert metadata["kubeVersion"] == ">=1.33.0-0"


def test_schema_is_closed_and_describes_every_value() -> None:
    for path, schema in objects():
        assert schema.get("description"), path
        if schema.get("type") == "object" and path not in FREE_OBJECTS and "properties" in schema:
            assert schema["additionalProperties"] is False, path
    assert SCHEMA["additionalProperties"] is False


def test_schema_and_defaults_name_the_same_values() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    in_schema = {path for path, _ in leaves()} - {"global"}
    assert in_schema == set(flat(defaults))


def test_readme_has_a_row_for_every_value_with_default_and_description() -> None:
    defaults = flat(yaml.safe_load((CHART / "values.yaml").read_text()))
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]*)` \| (.*) \|$", README, flags=re.MULTILINE)
    described = {path: schema["description"] for path, schema in leaves()}
    assert rows == [(path, json.dumps(value), described[path]) for path, value in defaults.items()]


def test_notes_say_what_was_installed_and_warn_of_a_tag() -> None:
    notes = "chex-operator/templates/NOTES.txt"
    by_digest = render_files(with_image())[notes]
    by_tag = render_files({"image": {"repository": "registry.example/o", "tag": "1"}})[notes]
    assert "jobs of all namespaces" in by_digest
    assert "set image.digest" in by_tag
    assert "set image.digest" not in by_digest
    assert "jobs of radiology" in render_files(with_image({"watchNamespace": "radiology"}))[notes]


def objects(schema: dict[str, Any] = SCHEMA, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value of the schema, objects included, by its path."""
    for name, child in schema.get("properties", {}).items():
        inner = f"{path}.{name}".removeprefix(".")
        yield inner, child
        yield from objects(child, inner)


def leaves() -> Iterator[tuple[str, dict[str, Any]]]:
    """Values that hold no others of ours."""
    return ((path, schema) for path, schema in objects() if "properties" not in schema)


def flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Values by path; an object whose keys are the user's is a value."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = f"{path}.{name}".removeprefix(".")
        if isinstance(value, dict) and inner not in LEAF_OBJECTS:
            found |= flat(value, inner)
        else:
            found[inner] = value
    return found
