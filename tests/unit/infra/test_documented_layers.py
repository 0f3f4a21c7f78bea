"""The layers that `docs/architecture.md` shows are those that `make contracts` checks."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
CHECKED = {
    container: contract["layers"]
    for contract in CONTRACTS
    if contract["type"] == "layers"
    for container in contract["containers"]
}


def documented_layers(package: str) -> list[str]:
    text = (ROOT / "docs" / "architecture.md").read_text()
    found = re.search(rf"Layers of `{package}`:\n\n```\n(.*?)\n```", text, re.DOTALL)
    assert found, f"docs/architecture.md does not show the layers of {package}"
    return found[1].splitlines()


@pytest.mark.parametrize("package", CHECKED)
def test_documented_layers_are_the_checked_ones(package: str) -> None:
    assert documented_layers(package) == CHECKED[package]


@pytest.mark.parametrize("contract", [each for each in CONTRACTS if each["type"] == "layers"])
def test_no_module_stays_outside_the_layers(contract: dict[str, object]) -> None:
    assert contract["exhaustive"] is True
