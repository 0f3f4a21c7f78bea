"""The layers that `docs/architecture.md` shows are those that `make contracts` checks."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def checked_layers(package: str) -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [
        contract["layers"]
        for contract in contracts
        if contract["type"] == "layers" and contract["containers"] == [package]
    ]
    return layers


def documented_layers(package: str) -> list[str]:
    text = (ROOT / "docs" / "architecture.md").read_text()
    found = re.search(rf"Layers of `{package}`:\n\n```\n(.*?)\n```", text, re.DOTALL)
    assert found, f"docs/architecture.md does not show the layers of {package}"
    return found[1].splitlines()


@pytest.mark.parametrize("package", ["chex_jobs", "chex_operator"])
def test_documented_layers_are_the_checked_ones(package: str) -> None:
    assert documented_layers(package) == checked_layers(package)
