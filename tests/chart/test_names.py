"""Names, labels and addresses of the values: text stays text, and what Kubernetes would not take is refused before it is asked."""

import copy
import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chart.render import CHART, IMAGE, Refused, render, render_files, the, with_image
from tests.chart.value_sets import VALUE_SETS

Values = dict[str, Any]

READ_AS_OTHER_THINGS = ("123", "1e5", "0x1f", "on", "no", "true", "null")
"""Names that Kubernetes allows and YAML does not take for text."""
TEXT_FIELDS = {"namespace", "serviceAccountName", "priorityClassName", "image", "imagePullPolicy"}
MAPS_OF_TEXT = {"labels", "matchLabels", "annotations", "nodeSelector", "selector"}

NAMES = (
    "nameOverride",
    "fullnameOverride",
    "watchNamespace",
    "serviceAccount.name",
    "priorityClassName",
    "image.repository",
    "image.tag",
    "image.digest",
    "image.pullSecrets.0",
)
HOSTILE = {
    "a second field": "x\n      hostNetwork: true",
    "the end of a line": "x\n",
    "a quotation mark": 'x"',
    "a mapping": "{x: y}",
    "a key": "x: y",
    "a comment": "x #y",
    "a template": "{{ .Release }}",
    "a stroke first": "-x",
    "a letter of no alphabet of DNS": "é",
    "too much": "x" * 500,
}
PATTERNS = [re.compile(each["pattern"]) for each in json.loads(
    (CHART / "values.schema.json").read_text()
)["definitions"]["addresses"]["anyOf"]]  # fmt: skip


def values_with(path: str, value: object) -> Values:
    """Values of an install, and one more at a path."""
    *outer, last = path.removesuffix(".0").split(".")
    values: Values = copy.deepcopy(with_image())
    place = values
    for step in outer:
        place = place.setdefault(step, {})
    place[last] = [value] if path.endswith(".0") else value
    return values


def not_text(found: object, path: str = "") -> Iterator[str]:
    """Places of a rendered object that hold a name or a label, and anything but text in it."""
    if isinstance(found, list):
        for index, each in enumerate(found):
            yield from not_text(each, f"{path}.{index}")
    if isinstance(found, dict):
        for key, value in found.items():
            inner = f"{path}.{key}"
            if (key in TEXT_FIELDS or (key == "name" and "properties" not in path)) and not isinstance(
                value, str
            ):
                yield inner
            if key in MAPS_OF_TEXT and isinstance(value, dict):
                yield from (f"{inner}.{name}" for name, each in value.items() if isinstance(each, int | None))
            yield from not_text(value, inner)


@pytest.mark.parametrize("word", READ_AS_OTHER_THINGS)
def test_a_name_that_yaml_takes_for_something_else_stays_text(word: str) -> None:
    values = {
        "image": {**IMAGE, "pullSecrets": [word]},
        "nameOverride": word,
        "fullnameOverride": word if word[0].isalpha() else "",
        "watchNamespace": word,
        "serviceAccount": {"name": word},
        "priorityClassName": word,
        "podLabels": {"team": word},
        "serviceMonitor": {"enabled": True, "labels": {"release": word}},
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
    }
    objects = render(values, release=word, namespace=word)
    assert [place for each in objects for place in not_text(each, each["kind"])] == []
    assert {each["metadata"]["namespace"] for each in objects} == {word}
    pod = the(objects, "Deployment")["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["priorityClassName"]) == (word, word)
    assert pod["imagePullSecrets"] == [{"name": word}]


@pytest.mark.parametrize("word", READ_AS_OTHER_THINGS)
def test_definitions_have_labels_of_text_whatever_the_release_is_called(word: str) -> None:
    objects = render({"nameOverride": word}, release=word, namespace=word)
    assert [place for each in objects for place in not_text(each["metadata"], each["kind"])] == []


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("path", NAMES)
def test_a_name_that_is_none_is_refused_by_its_place(path: str, hostile: str) -> None:
    with pytest.raises(Refused) as refused:
        render(values_with(path, HOSTILE[hostile]))
    assert f"at '/{path.replace('.', '/')}'" in str(refused.value)


@pytest.mark.parametrize("path", ["serviceAccount.name", "priorityClassName", "image.pullSecrets.0"])
@pytest.mark.parametrize("name", ["a..b", "a.", ".a", "a.-b", "A"])
def test_names_of_several_parts_have_none_that_is_empty_or_ends_with_a_stroke(path: str, name: str) -> None:
    with pytest.raises(Refused, match="does not match pattern"):
        render(values_with(path, name))


@pytest.mark.parametrize(
    "repository", ["x", "team/x", "registry.example/team/x__y", "localhost:5000/x", "10.0.0.1:5000/a/b-c.d"]
)
def test_repositories_as_registries_have_them_are_taken(repository: str) -> None:
    values = {"image": {**IMAGE, "repository": repository}}
    assert the(render(values), "Pod")["spec"]["containers"][0]["image"] == f"{repository}@{IMAGE['digest']}"


@pytest.mark.parametrize("repository", ["registry.example/x:0.1.0", "registry.example//x", "x/", "Team/"])
def test_a_repository_has_no_tag_and_no_empty_part(repository: str) -> None:
    with pytest.raises(Refused, match="at '/image/repository'"):
        render({"image": {**IMAGE, "repository": repository}})


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abz09-._:/@#\"'{}[]\n \\&*!|>%", max_size=12))
def test_a_name_changes_its_own_field_and_no_other(name: str) -> None:
    plain = the(render(), "Deployment")["spec"]["template"]["spec"]
    try:
        pod = the(render({"priorityClassName": name}), "Deployment")["spec"]["template"]["spec"]
    except Refused:
        return
    assert pod == (plain | {"priorityClassName": name} if name else plain)


LABELS = pytest.mark.parametrize(
    "path", ["podLabels", "nodeSelector", "serviceMonitor.labels", "dashboard.labels"]
)


@LABELS
@pytest.mark.parametrize("key", ["a b", "-a", "a/b/c", "/a", "a" * 64])
def test_keys_of_labels_that_kubernetes_would_not_take_are_refused(path: str, key: str) -> None:
    with pytest.raises(Refused, match=f"invalid propertyName '{key}'"):
        render(values_with(path, {key: "x"}))


@LABELS
@pytest.mark.parametrize("value", ["x y", "-x", "x" * 64])
def test_values_of_labels_that_kubernetes_would_not_take_are_refused(path: str, value: str) -> None:
    with pytest.raises(Refused, match=f"at '/{path.replace('.', '/')}/a'"):
        render(values_with(path, {"a": value}))


@pytest.mark.parametrize(
    "peer",
    [
        {"ipBlock": {}},
        {"ipBlock": {"cidr": "10.0.0.0"}},
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["everything"]}},
        {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}},
        {"ipBlock": {"cidr": "10.0.0.0/8"}, "namespaceSelector": {}},
        {"podSelector": {"app": "prometheus"}},
        {"podSelector": {"matchLabels": {"app": "a b"}}},
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In"}]}},
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["x"]}]}},
    ],
    ids=json.dumps,
)
def test_a_peer_that_is_no_peer_of_a_policy_is_refused(peer: Values) -> None:
    with pytest.raises(Refused, match="at '/networkPolicy/metricsFrom/0"):
        render({"networkPolicy": {"metricsFrom": [peer]}})


@pytest.mark.parametrize(
    "peer",
    [
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "prometheus"}}},
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}},
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}},
    ],
    ids=json.dumps,
)
def test_peers_as_policies_have_them_are_rendered_as_they_are(peer: Values) -> None:
    rendered = the(render({"networkPolicy": {"metricsFrom": [peer]}}), "NetworkPolicy")
    assert rendered["spec"]["ingress"][0]["from"][1:] == [peer]


@pytest.mark.parametrize(
    "wrong", ["1.2/999", "10.0.0.0/33", "10.0.0.256/32", "10.0.0.0.0/8", "::/129", ":::/8", "1::2::3/64"]
)
def test_addresses_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(Refused, match="at '/networkPolicy/apiServer/cidrs/0'"):
        render({"networkPolicy": {"apiServer": {"cidrs": [wrong]}}})


networks = st.one_of(
    st.builds("{}/{}".format, st.ip_addresses(), st.integers(0, 140)),
    st.builds("{}/{}".format, st.text(alphabet="0123456789a:.", max_size=20), st.integers(0, 40)),
    st.builds(
        lambda address, width: f"{address.exploded}/{width}", st.ip_addresses(v=6), st.integers(0, 128)
    ),
    st.builds(
        lambda groups, at, width: f"{':'.join(groups[:at])}::{':'.join(groups[at:])}/{width}",
        st.lists(st.sampled_from(["0", "1", "fd00", "12345", "abcd"]), max_size=9),
        st.integers(0, 9),
        st.integers(0, 128),
    ),
)


@given(networks)
def test_the_schema_knows_an_address_range_as_python_does(text: str) -> None:
    address = text.partition("/")[0]
    dotted = ":" in address and "." in address  # the mapped form, which nobody writes into a policy
    try:
        ipaddress.ip_network(text, strict=False)
        valid = not dotted
    except ValueError:
        valid = False
    assert any(pattern.fullmatch(text) for pattern in PATTERNS) is valid


@pytest.mark.parametrize(
    ("toleration", "place"),
    [
        ({"key": "a b", "operator": "Exists"}, "key"),
        ({"key": "a", "value": "x y"}, "value"),
        ({"key": "a", "tolerationSeconds": -1}, "tolerationSeconds"),
        ({"key": "a", "tolerationSeconds": 1e300}, "tolerationSeconds"),
        ({"key": "a", "operator": "Exists", "value": "b"}, "value"),
        ({"key": "", "operator": "Equal", "value": "b"}, "key"),
    ],
)
def test_tolerations_that_kubernetes_would_not_take_are_refused(toleration: Values, place: str) -> None:
    with pytest.raises(Refused, match=f"at '/tolerations/0/{place}'"):
        render({"tolerations": [toleration]})


@pytest.mark.parametrize(
    "path",
    [
        "crds.keep", "crds.enabled", "networkPolicy", "networkPolicy.enabled", "networkPolicy.apiServer",
        "networkPolicy.apiServer.ports", "podDisruptionBudget", "serviceAccount.create", "image.pullPolicy", "replicas",
    ],
)  # fmt: skip
def test_a_null_does_not_switch_off_what_protects(path: str) -> None:
    """Helm drops a value that is given as null: without ports every one would be open, without `keep` no job is safe."""
    with pytest.raises(Refused, match=rf"missing propert(y|ies) .*'{path.rpartition('.')[2]}'"):
        render(values_with(path, None))


@pytest.mark.parametrize(
    "release", ["a" * 38 + "---b", "radiology---of---the---north---hospital---eas", "1" * 34 + "----x"]
)
def test_a_name_that_is_cut_does_not_end_with_a_stroke(release: str) -> None:
    name = the(render(release=release), "Deployment")["metadata"]["name"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", name)


def test_notes_warn_of_an_operator_among_those_whose_jobs_it_works_on() -> None:
    notes = "chex-operator/templates/NOTES.txt"
    values = with_image({"watchNamespace": "radiology"})
    assert "may run Pods as its ServiceAccount" in render_files(values, namespace="radiology")[notes]
    assert "may run Pods as its ServiceAccount" not in render_files(values, namespace="chex-radiology")[notes]


@pytest.mark.parametrize(
    ("name", "warned"),
    [("defaults", False), ("CRDs that go with the release", True), ("CRDs installed apart", False)],
)
def test_notes_warn_where_an_uninstall_takes_every_job_along(name: str, warned: bool) -> None:
    notes = render_files(with_image(VALUE_SETS[name]))["chex-operator/templates/NOTES.txt"]
    assert ("`helm uninstall` alone deletes the CRDs" in notes) is warned
