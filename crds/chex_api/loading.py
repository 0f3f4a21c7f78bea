"""From the text of a manifest to a validated job, or to all of its faults at once.

YAML is read the way kubectl reads it (YAML 1.1 resolved to JSON by sigs.k8s.io/yaml), so that `chex validate` and the API
server judge the same values: `1e-4` is a number here although PyYAML's own resolver calls it a string.
"""

import difflib
import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from chex_api.faults import Fault
from chex_api.job import ChexTrainingJob
from chex_api.rules import rule_faults

MAX_MANIFEST_BYTES = 1_000_000
"""etcd refuses objects above 1.5 MiB; a manifest this long is a mistake."""


@dataclass(frozen=True)
class LoadResult:
    """A job, or the faults that keep it from being one. Exactly one of the two is there."""

    job: ChexTrainingJob | None
    faults: tuple[Fault, ...]


class KubectlLoader(yaml.SafeLoader):
    """PyYAML's safe loader with kubectl's numbers, no dates, no aliases without end and no duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; a key that stands twice is a fault, as it is for the API server's strict decoding."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases: a few lines of them unfold to gigabytes, and no manifest needs them."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not accepted; write the value out", event.start_mark)
        return super().compose_node(parent, index)


def _kubectl_resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """SafeLoader's implicit types without timestamps, and with floats that need no dot (`1e-4`)."""
    number = re.compile(
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    )
    kept: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [
            (tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:float")
        ]
    for first in "-+.0123456789":
        kept.setdefault(first, []).append(("tag:yaml.org,2002:float", number))
    return kept


KubectlLoader.yaml_implicit_resolvers = _kubectl_resolvers()


def load_job(text: str) -> LoadResult:
    """Read a manifest. Never raises for a bad one: every fault is in the result, ordered by path."""
    try:
        plain = read_yaml(text)
    except ManifestError as error:
        return LoadResult(None, (Fault("", str(error)),))
    return validate_job(plain)


def validate_job(plain: Mapping[str, Any]) -> LoadResult:
    """Validate the plain form of a manifest (what YAML or JSON gives)."""
    known = without_nulls(dict(plain))
    faults: set[Fault] = set()
    job: ChexTrainingJob | None = None
    try:
        job = ChexTrainingJob.parse(known)
    except ValidationError as error:
        faults.update(_faults_of(error, known))
    spec = known.get("spec")
    if isinstance(spec, dict):
        faults.update(rule_faults(spec))
    return LoadResult(None, tuple(sorted(faults))) if faults else LoadResult(job, ())


class ManifestError(ValueError):
    """The text is no manifest at all."""


def read_yaml(text: str) -> dict[str, Any]:
    """The one YAML document in a text, as plain data. Raises `ManifestError` with line and column."""
    if len(text.encode()) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"is longer than {MAX_MANIFEST_BYTES} bytes; this is no manifest")
    try:
        documents = [document for document in yaml.load_all(text, Loader=KubectlLoader) if document is not None]
    except yaml.YAMLError as error:
        raise ManifestError(f"is not YAML: {_one_line(error)}") from error
    except RecursionError as error:
        raise ManifestError("is nested too deeply") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        found = f"{len(documents)} documents" if len(documents) != 1 else type(documents[0]).__name__
        raise ManifestError(f"must hold one YAML object; it holds {found}")
    try:
        json.dumps(documents[0], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ManifestError(f"holds a value that JSON cannot: {error}") from error
    return documents[0]


def without_nulls(value: Any) -> Any:
    """The API server drops nulls of fields that are not nullable (none of ours is) before it sets defaults."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _faults_of(error: ValidationError, plain: Mapping[str, Any]) -> list[Fault]:
    return [
        Fault(_path(details["loc"]), _message(dict(details), plain))
        for details in error.errors(include_url=False, include_context=True)
        if not _follows_from_another(dict(details))
    ]


def _follows_from_another(details: dict[str, Any]) -> bool:
    """pydantic also calls a list too short when its entries are faulty; only the entries' faults help."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else part)
    return path


def _message(details: dict[str, Any], plain: Mapping[str, Any]) -> str:
    kind, location = details["type"], details["loc"]
    if kind == "extra_forbidden":
        known = _field_names(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        return f"unknown field; did you mean {near[0]!r}?" if near else f"unknown field; known: {', '.join(known[:12])}"
    if kind == "missing":
        return "is required"
    if kind == "literal_error":
        return f"must be one of {details['ctx']['expected']}; it is {_shown(details['input'])}"
    if kind == "value_error":
        return str(details["ctx"]["error"])
    message = str(details["msg"])
    message = message.replace("Input should be", "must be").replace("String should", "must").replace("Value error, ", "")
    return f"{message[0].lower()}{message[1:]}; it is {_shown(details['input'])}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _field_names(location: tuple[int | str, ...]) -> list[str]:
    """The wire names of the fields of the model at a location of the manifest."""
    model: type[BaseModel] | None = ChexTrainingJob
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = _model_in(fields[part].annotation) if part in fields else None
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Dataset, ...]` or `Clip | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, dict, typing.Union, types.UnionType, typing.Annotated):
        for argument in typing.get_args(annotation):
            if (found := _model_in(argument)) is not None:
                return found
    return None
