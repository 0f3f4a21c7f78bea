"""What the images install: a part of the one lock, whole for what the image runs, and nothing that it must not hold."""

import ast
import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "infra" / "images"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OUTSIDE_A_CLUSTER = {"kubernetes"}
"""Imported where a kubeconfig is read, which no Pod does."""


def pins(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes by name."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", path.read_text()):
        head = re.match(r"([a-z0-9-]+)(?:\[[^\]]*\])?==([^ ]+)", block)
        if head:
            found[head[1]] = (head[2], frozenset(re.findall(r"sha256:[0-9a-f]{64}", block)))
    return found


WHOLE = pins(ROOT / "requirements.lock")
OPERATOR = pins(IMAGES / "requirements-operator.lock")
JOBS = pins(IMAGES / "requirements-jobs.lock")
JOBS_CPU = pins(IMAGES / "requirements-jobs-cpu.lock")


@pytest.mark.parametrize("part", [OPERATOR, JOBS, JOBS_CPU], ids=["operator", "jobs", "jobs-cpu"])
def test_parts_are_of_the_whole(part: dict[str, tuple[str, frozenset[str]]]) -> None:
    assert part
    assert {name: pin for name, pin in part.items() if WHOLE.get(name) != pin} == {}


def needed(extra: str) -> set[str]:
    """What the project and an extra of it need here, through all that these need in turn."""
    waiting = [
        Requirement(each) for each in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra])
    ]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        if key[0] == PROJECT["name"]:  # an extra that takes in another one
            waiting += [
                Requirement(each) for name in key[1] for each in PROJECT["optional-dependencies"][name]
            ]
            continue
        seen.add(key)
        for text in importlib.metadata.requires(requirement.name) or []:
            child = Requirement(text)
            extras = requirement.extras or {""}
            if child.marker is None or any(child.marker.evaluate({"extra": each}) for each in extras):
                waiting.append(child)
    return {name for name, _ in seen}


@pytest.mark.parametrize(("extra", "part"), [("operator", OPERATOR), ("jobs", JOBS)])
def test_a_part_holds_all_that_its_image_needs(
    extra: str, part: dict[str, tuple[str, frozenset[str]]]
) -> None:
    assert needed(extra) - set(part) == set()


def test_the_operators_part_is_small() -> None:
    assert len(OPERATOR) <= 20
    assert not {"kubernetes", "torch", "ray", "numpy", "boto3"} & set(OPERATOR)


def test_the_part_for_the_cpu_lacks_torch_and_what_is_of_cuda_only() -> None:
    left_out = set(JOBS) - set(JOBS_CPU)
    assert {"torch", "torchvision"} <= left_out
    assert all(re.match(r"torch|triton|nvidia-|cuda-", name) for name in left_out)
    assert not [name for name in JOBS_CPU if re.match(r"torch|triton|nvidia-|cuda-", name)]


def test_the_operator_imports_only_what_its_image_holds() -> None:
    by_module = importlib.metadata.packages_distributions()
    imported = {
        name
        for package in ("operator/chex_operator", "crds/chex_api")
        for name in top_level_imports(ROOT / package)
    }
    foreign = {
        canonicalize_name(distribution)
        for module in imported - {"chex_operator", "chex_api"}
        for distribution in by_module.get(module, [])
    }
    assert foreign - set(OPERATOR) == OUTSIDE_A_CLUSTER


def top_level_imports(package: Path) -> Iterator[str]:
    """First parts of the names of all modules that a package imports, wherever it does."""
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]
