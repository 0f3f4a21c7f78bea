"""The CRDs: what the models give, accepted by a plain create, and explained field by field."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from chex_api.crd import KINDS, MAX_BYTES, render_crds
from chex_api.runtime import ClusterChexRuntime
from tests.apiserver.control_plane import Answer, ApiClient
from tests.apiserver.test_agreement import JOBS

CRDS = Path(__file__).parents[2] / "crds"
RUNTIMES = "/apis/chexdragon.dev/v1alpha1/clusterchexruntimes"
RUNTIME = (Path(__file__).parents[2] / "infra" / "samples" / "runtime.yaml").read_text()


def test_committed_definitions_are_what_the_models_give() -> None:
    assert {path.name: path.read_text() for path in CRDS.glob("*.yaml")} == render_crds()


def test_definitions_fit_the_annotation_of_client_side_apply() -> None:
    assert max(len(text.encode()) for text in render_crds().values()) < MAX_BYTES


def test_samples_are_accepted(cluster: ApiClient, samples: list[Path]) -> None:
    assert samples
    refused = {
        path.name: answer.message for path in samples if not (answer := create(cluster, path)).accepted
    }
    assert refused == {}


def create(cluster: ApiClient, path: Path) -> Any:
    """Dry-run a sample in the default namespace, the only one of a bare API server."""
    manifest = yaml.safe_load(path.read_text())
    manifest["metadata"]["namespace"] = "default"
    return cluster.create(JOBS, yaml.safe_dump(manifest), dry_run=True)


def test_runtime_is_accepted_with_the_defaults_of_its_model(cluster: ApiClient) -> None:
    answer = cluster.create(RUNTIMES, RUNTIME, dry_run=True)
    assert answer.accepted, answer.message
    assert answer.body["spec"] == ClusterChexRuntime.parse(yaml.safe_load(RUNTIME)).plain()["spec"]


def test_runtime_with_two_pools_of_one_name_is_refused(cluster: ApiClient) -> None:
    answer = cluster.create(RUNTIMES, RUNTIME.replace("{name: cpu,", "{name: gpu,"), dry_run=True)
    assert answer.code == 422
    assert "Duplicate value" in answer.message


def test_runtime_with_an_empty_label_key_is_refused(cluster: ApiClient) -> None:
    answer = cluster.create(
        RUNTIMES, RUNTIME.replace("nvidia.com/gpu.product: NVIDIA-H200", '"": a'), dry_run=True
    )
    assert answer.code == 422
    assert "each key must have" in answer.message


@pytest.mark.parametrize("operator", ["Exists", "Equal"])
@pytest.mark.parametrize("key", ["", "spot"])
@pytest.mark.parametrize("value", ["", "yes"])
def test_tolerations_are_those_that_kubernetes_takes(
    cluster: ApiClient, operator: str, key: str, value: str
) -> None:
    toleration = {"key": key, "operator": operator, "value": value}
    runtime = yaml.safe_load(RUNTIME)
    runtime["spec"]["pools"][0]["tolerations"] = [toleration]
    answer = cluster.create(RUNTIMES, runtime, dry_run=True)
    labels = {"app": "any"}
    pod = {"containers": [{"name": "any", "image": "any"}], "tolerations": [toleration]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "any"},
        "spec": spec,
    }
    of_kubernetes = cluster.create("/apis/apps/v1/namespaces/default/deployments", deployment, dry_run=True)
    assert answer.accepted == of_kubernetes.accepted, (answer.message, of_kubernetes.message)
    if answer.accepted:
        ClusterChexRuntime.parse(runtime)
        return
    with pytest.raises(ValidationError) as refusal:
        ClusterChexRuntime.parse(runtime)
    (fault,) = refusal.value.errors()
    assert str(fault["msg"]).removeprefix("Value error, ") in answer.message


def test_location_of_artifacts_cannot_be_changed(cluster: ApiClient, samples: list[Path]) -> None:
    manifest = yaml.safe_load(samples[0].read_text())
    manifest["metadata"] = {"name": "fixed-location"}
    created = cluster.create(JOBS, yaml.safe_dump(manifest))
    assert created.accepted, created.message
    patch = '{"spec": {"artifacts": {"uri": "s3://elsewhere/x"}}}'
    changed = cluster.request("PATCH", f"{JOBS}/fixed-location", patch, "application/merge-patch+json")
    assert changed.code == 422
    assert "cannot be changed" in changed.message


def test_a_setting_of_a_hospital_has_one_owner_and_hospitals_have_many(
    cluster: ApiClient, samples: list[Path]
) -> None:
    """Server-side apply merges hospitals by name, and never two halves of one sweep."""
    (path,) = [each for each in samples if each.name == "own-hospital.yaml"]
    manifest = yaml.safe_load(path.read_text())
    manifest["metadata"] = {"name": "shared"}
    assert apply(cluster, "first", manifest).accepted
    (hospital,) = manifest["spec"]["hospitals"]
    own = {**manifest, "spec": {"hospitals": [{"name": hospital["name"], "sweep": {"trialsPerArm": 3}}]}}
    refused = apply(cluster, "second", own)
    assert refused.code == 409
    assert f'.spec.hospitals[name="{hospital["name"]}"].sweep' in refused.message
    more = {**manifest, "spec": {"hospitals": [{**hospital, "name": "second"}]}}
    added = apply(cluster, "second", more)
    assert added.accepted, added.message
    assert [each["name"] for each in added.body["spec"]["hospitals"]] == [hospital["name"], "second"]


def apply(cluster: ApiClient, manager: str, manifest: dict[str, Any]) -> Answer:
    path = f"{JOBS}/{manifest['metadata']['name']}?fieldManager={manager}"
    return cluster.request("PATCH", path, yaml.safe_dump(manifest), "application/apply-patch+yaml")


def test_columns_of_get_are_those_of_the_design(cluster: ApiClient) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    table = cluster.request("GET", JOBS, accept=accept).body
    names = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert names == ["Name", "Phase", "Progress", "Stage", "Best", "ETA", "Age"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_every_field_is_explained(cluster: ApiClient, kind: Any) -> None:
    """What `kubectl explain` reads is the OpenAPI v3 document of the group and version."""
    schemas = cluster.request("GET", "/openapi/v3/apis/chexdragon.dev/v1alpha1").body["components"]["schemas"]
    schema = schemas[f"dev.chexdragon.v1alpha1.{kind.model.__name__}"]
    assert list(undescribed(schema["properties"]["spec"], "spec")) == []


def undescribed(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Fields without a description."""
    if not schema.get("description"):
        yield path
    for name, child in schema.get("properties", {}).items():
        yield from undescribed(child, f"{path}.{name}")
    items = schema.get("items", {})
    for name, child in items.get("properties", {}).items():
        yield from undescribed(child, f"{path}[].{name}")
