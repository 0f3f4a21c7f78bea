"""Commands of the documents: whoever copies them gets a release, and the one that the text speaks of."""

import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from chex_operator.kube.resource import Object
from tests.chart.render import CHART, DIGEST, IMAGE, of_kind, render, render_files, the

INSTALL = Path(__file__).parents[2] / "docs" / "install.md"
DOCUMENTS = (INSTALL, CHART / "README.md")


def commands(document: Path) -> list[list[str]]:
    """Words of each command of Helm in its code blocks, up to a pipe."""
    blocks = re.findall(r"^```\n(.*?)^```$", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line.partition(" | ")[0], comments=True) for line in lines]
    return [each for each in words if each[:1] == ["helm"]]


def values_of(words: list[str]) -> dict[str, Any]:
    """What its options set, the digest that is left out filled in."""
    values: dict[str, Any] = {}
    for option, argument in itertools.pairwise(words):
        if option not in ("--set", "--set-json"):
            continue
        path, _, text = argument.partition("=")
        *outer, last = path.split(".")
        place = values
        for step in outer:
            place = place.setdefault(step, {})
        plain = text.replace("sha256:...", DIGEST)
        place[last] = json.loads(text) if option == "--set-json" or text in ("true", "false") else plain
    return values


def namespace_of(words: list[str]) -> str:
    return words[words.index("--namespace") + 1]


def rendered(words: list[str]) -> list[Object]:
    """What the command installs, or leaves installed: an upgrade keeps the image that it does not name."""
    values = values_of(words)
    kept = {} if "--install" in words else IMAGE
    return render({**values, "image": kept | values.get("image", {})}, namespace=namespace_of(words))


INSTALLS = [words for each in DOCUMENTS for words in commands(each) if "--install" in words]
UPGRADES = [words for words in commands(INSTALL) if words[1] == "upgrade" and "--install" not in words]


def test_commands_are_found() -> None:
    assert len(INSTALLS) == 3
    assert len(UPGRADES) == 2


@pytest.mark.parametrize("words", INSTALLS + UPGRADES, ids=" ".join)
def test_commands_that_are_copied_render(words: list[str]) -> None:
    assert the(rendered(words), "Deployment")["metadata"]["namespace"] == namespace_of(words)


@pytest.mark.parametrize("words", INSTALLS, ids=" ".join)
def test_no_install_that_is_copied_shuts_the_operator_off_from_the_api_server(words: list[str]) -> None:
    """Addresses differ from cluster to cluster: an example's would be wrong in every one."""
    _, api_server = the(rendered(words), "NetworkPolicy")["spec"]["egress"]
    assert "to" not in api_server


def test_the_operator_of_one_namespace_is_installed_apart_from_its_people() -> None:
    """Whoever has `edit` in a namespace may run Pods as any ServiceAccount there, and so with its rights."""
    (words,) = (each for each in INSTALLS if "watchNamespace" in values_of(each))
    objects, watched = rendered(words), values_of(words)["watchNamespace"]
    own = namespace_of(words)
    assert own != watched
    assert "--create-namespace" in words
    places = {
        (each["kind"], each["metadata"]["name"].removeprefix("chex-operator")): each["metadata"]["namespace"]
        for each in objects
    }
    assert {kind for kind, namespace in places.items() if namespace == watched} == {
        ("Role", ""),
        ("RoleBinding", ""),
    }
    assert {namespace for kind, namespace in places.items() if kind[0] not in ("Role", "RoleBinding")} == {
        own
    }
    assert places["Role", "-leader-election"] == places["RoleBinding", "-leader-election"] == own
    subjects = [each["subjects"][0]["namespace"] for each in of_kind(objects, "RoleBinding")]
    assert subjects == [own, own]


def test_roles_for_people_can_be_rendered_apart() -> None:
    (words,) = (each for each in commands(INSTALL) if each[1] == "template")
    text = render_files(values_of(words))[f"chex-operator/{words[words.index('--show-only') + 1]}"]
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(text)]
    assert names == ["chex-operator-jobs-view", "chex-operator-jobs-edit", "chex-operator-runtimes-view"]


def test_jobs_are_deleted_while_the_operator_is_there_and_definitions_after_it() -> None:
    """A job that is not finished waits for the operator, and its definition would wait for the job."""
    _, _, uninstall = INSTALL.read_text().partition("\n## Uninstall\n")
    blocks = re.findall(r"^```\n(.*?)^```$", uninstall, flags=re.MULTILINE | re.DOTALL)
    (block,) = (each for each in blocks if "kubectl delete crd" in each)
    order = [
        block.index(each) for each in ("kubectl delete ctj --all", "helm uninstall", "kubectl delete crd")
    ]
    assert order == sorted(order)
