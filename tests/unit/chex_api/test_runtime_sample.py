"""The runtime that we show platform teams names every field, and every line of it says what it is for."""

from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel

from chex_api.base import OneOf
from chex_api.runtime import ClusterChexRuntime, RuntimeSpec

SAMPLE = Path(__file__).parents[3] / "infra" / "samples" / "runtime.yaml"
TEXT = SAMPLE.read_text()
PLAIN = yaml.safe_load(TEXT)


def test_it_is_valid() -> None:
    assert ClusterChexRuntime.parse(PLAIN).metadata.name == "h200"


def test_it_names_every_field() -> None:
    assert unnamed(RuntimeSpec, PLAIN["spec"], "spec") == []


def test_every_value_is_explained_on_its_line_or_above() -> None:
    lines = TEXT[TEXT.index("spec:") :].splitlines()[1:]
    unexplained = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if "#" not in line and not before.strip().startswith("#") and not line.endswith(":")
    ]
    assert unexplained == ["    - name: gpu"]


def unnamed(model: type[BaseModel], plain: Any, path: str) -> list[str]:
    """Fields of a model that plain data does not name. Of a union one member is enough; of a list its first entry counts."""
    if issubclass(model, OneOf):
        return []
    missing = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in plain:
            missing.append(f"{path}.{key}")
            continue
        inner, value = field.annotation, plain[key]
        if get_origin(inner) is tuple:
            inner, value = get_args(inner)[0], value[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            missing += unnamed(inner, value, f"{path}.{key}")
    return missing
