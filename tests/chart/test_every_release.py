"""What holds for every release, whatever the values."""

import functools
from typing import Any

import pytest
import yaml

from chex_api.crd import render_crds
from chex_operator.kube.resource import Object
from tests.chart.pod_security import violations
from tests.chart.render import NAMESPACE, RELEASE, is_hook, of_kind, render, the
from tests.chart.value_sets import RELEASE_OF_53_CHARACTERS, VALUE_SETS

CLUSTER_KINDS = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
KINDS_WITH_RULES = ("Role", "ClusterRole")
RELEASES = [(name, RELEASE) for name in VALUE_SETS] + [
    ("monitoring", RELEASE_OF_53_CHARACTERS),
    ("one namespace, everything switched on", RELEASE_OF_53_CHARACTERS),
    ("defaults", "1.of.our.releases"),
]

every_release = pytest.mark.parametrize(("values", "release"), RELEASES, ids=str)


@functools.cache
def rendered(values: str, release: str) -> list[Object]:
    """The objects of a release. Rendered once: tests only read them."""
    return render(VALUE_SETS[values], release=release)


def pods(objects: list[Object]) -> list[dict[str, Any]]:
    """Specs of the Pods that these objects are, or make."""
    deployments = [each["spec"]["template"]["spec"] for each in of_kind(objects, "Deployment")]
    return deployments + [each["spec"] for each in of_kind(objects, "Pod")]


@every_release
def test_there_is_one_deployment_and_one_test_with_that_image(values: str, release: str) -> None:
    objects = rendered(values, release)
    images = {container["image"] for pod in pods(objects) for container in pod["containers"]}
    assert len(pods(objects)) == 2
    assert len(images) == 1
    assert [each["kind"] for each in objects if is_hook(each)] == ["Pod"]


@every_release
def test_pods_are_restricted_and_write_nothing_to_their_root(values: str, release: str) -> None:
    for pod in pods(rendered(values, release)):
        assert violations(pod) == []
        assert pod["securityContext"]["runAsUser"] == 65532
        assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in pod["containers"])
        assert all(each["resources"]["limits"]["memory"] for each in pod["containers"])


@every_release
def test_names_are_labels_of_dns_and_differ(values: str, release: str) -> None:
    objects = rendered(values, release)
    names = [each["metadata"]["name"] for each in objects if each["kind"] != "CustomResourceDefinition"]
    assert all(len(name) <= 63 for name in names)
    assert all(name.replace("-", "").isalnum() and name[0].isalpha() and name[-1] != "-" for name in names)
    identities = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects
    ]
    assert len(set(identities)) == len(identities)


@every_release
def test_objects_lie_in_the_release_namespace_or_in_the_watched_one(values: str, release: str) -> None:
    watched = VALUE_SETS[values].get("watchNamespace")
    for each in rendered(values, release):
        namespace = each["metadata"].get("namespace")
        if each["kind"] in CLUSTER_KINDS:
            assert namespace is None
        elif namespace == watched:
            assert each["kind"] in ("Role", "RoleBinding")
        else:
            assert namespace == NAMESPACE


@every_release
def test_labels_are_those_that_kubernetes_recommends_and_fit(values: str, release: str) -> None:
    for each in rendered(values, release):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "chexdragon"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert all(len(value) <= 63 for value in labels.values())


@every_release
def test_selectors_find_the_operator_and_not_the_test(values: str, release: str) -> None:
    objects = rendered(values, release)
    deployment, test = the(objects, "Deployment"), the(objects, "Pod")
    operator = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        the(objects, "Service")["spec"]["selector"],
        *(each["spec"]["selector"]["matchLabels"] for each in of_kind(objects, "PodDisruptionBudget")),
        *(each["spec"]["podSelector"]["matchLabels"] for each in of_kind(objects, "NetworkPolicy")),
    ]
    for selector in selectors:
        assert selector.items() <= operator
        assert not selector.items() <= test["metadata"]["labels"].items()


@every_release
def test_bindings_name_roles_that_are_rendered_and_the_account_of_the_pods(values: str, release: str) -> None:
    objects = rendered(values, release)
    account = the(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    bindings = of_kind(objects, "RoleBinding") + of_kind(objects, "ClusterRoleBinding")
    assert len(bindings) == 2
    for binding in bindings:
        (role,) = (
            each
            for each in of_kind(objects, binding["roleRef"]["kind"])
            if each["metadata"]["name"] == binding["roleRef"]["name"]
        )
        assert role["metadata"].get("namespace") == binding["metadata"].get("namespace")
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]


@every_release
def test_no_role_holds_secrets_or_a_wildcard(values: str, release: str) -> None:
    objects = rendered(values, release)
    rules = [rule for kind in KINDS_WITH_RULES for role in of_kind(objects, kind) for rule in role["rules"]]
    assert rules
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "secrets" not in rule["resources"]
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])


@pytest.mark.parametrize("values", [name for name in VALUE_SETS if name.startswith("one namespace")])
def test_an_install_for_one_namespace_has_nothing_of_the_whole_cluster(values: str) -> None:
    objects = rendered(values, RELEASE)
    assert not CLUSTER_KINDS & {each["kind"] for each in objects}
    assert "clusterchexruntimes" not in str(objects)
    assert "--namespace=radiology" in pods(objects)[0]["containers"][0]["args"]


@every_release
def test_definitions_are_those_generated_from_the_models(values: str, release: str) -> None:
    given = VALUE_SETS[values]
    wanted = given.get("crds", {}).get("enabled", True) and not given.get("watchNamespace")
    found = {
        each["metadata"]["name"]: each
        for each in of_kind(rendered(values, release), "CustomResourceDefinition")
    }
    generated = [yaml.load(text, Loader=yaml.CSafeLoader) for text in render_crds().values() if wanted]
    assert sorted(found) == sorted(each["metadata"]["name"] for each in generated)
    for each in generated:
        rest = dict(found[each["metadata"]["name"]])
        metadata = rest.pop("metadata")
        assert {**each, "metadata": None} == {**rest, "metadata": None}
        keep = given.get("crds", {}).get("keep", True)
        assert (metadata.get("annotations") == {"helm.sh/resource-policy": "keep"}) is keep
