"""From the text of a manifest to a validated job, or to all of its faults at once.

YAML is read the way kubectl reads it (`chex_api.kubectl_yaml`), so that `chex validate` and the API server judge the same
values.
"""

import difflib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from chex_api.faults import Fault
from chex_api.job import ChexTrainingJob
from chex_api.kubectl_yaml import KubectlLoader
from chex_api.plain import is_list, is_object
from chex_api.rules import rule_faults

MAX_MANIFEST_BYTES = 1_000_000
"""etcd refuses objects above 1.5 MiB; a manifest this long is a mistake."""


@dataclass(frozen=True)
class LoadResult:
    """A job, or the faults that keep it from being one. Exactly one of the two is there."""

    job: ChexTrainingJob | None
    faults: tuple[Fault, ...]


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
        faults.update(_faults_of(error))
    spec = known.get("spec")
    if is_object(spec):
        faults.update(rule_faults(spec))
    return LoadResult(None, tuple(sorted(faults))) if faults else LoadResult(job, ())


class ManifestError(ValueError):
    """The text is no manifest at all."""


def read_yaml(text: str) -> dict[str, Any]:
    """The one YAML document in a text, as plain data. Raises `ManifestError` with line and column."""
    if len(text.encode()) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"is longer than {MAX_MANIFEST_BYTES} bytes; this is no manifest")
    try:
        documents = [
            document for document in yaml.load_all(text, Loader=KubectlLoader) if document is not None
        ]
    except yaml.YAMLError as error:
        raise ManifestError(f"is not YAML: {_one_line(error)}") from error
    except RecursionError as error:
        raise ManifestError("is nested too deeply") from error
    if len(documents) != 1 or not is_object(documents[0]):
        found = f"{len(documents)} documents" if len(documents) != 1 else type(documents[0]).__name__
        raise ManifestError(f"must hold one YAML object; it holds {found}")
    try:
        json.dumps(documents[0], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ManifestError(f"holds a value that JSON cannot: {error}") from error
    return documents[0]


def without_nulls(value: Any) -> Any:
    """The API server drops nulls of fields that are not nullable (none of ours is) before it sets defaults."""
    if is_object(value):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if is_list(value):
        return [without_nulls(item) for item in value]
    return value


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _faults_of(error: ValidationError) -> list[Fault]:
    return [
        Fault(_path(details["loc"]), _message(dict(details)))
        for details in error.errors(include_url=False, include_context=True)
        if not _follows_from_another(dict(details))
    ]


def _follows_from_another(details: dict[str, Any]) -> bool:
    """Pydantic also calls a list too short when its entries are faulty; only the entries' faults help."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else part)
    return path


def _message(details: dict[str, Any]) -> str:
    kind, location = details["type"], details["loc"]
    if kind == "extra_forbidden":
        known = _field_names(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        return (
            f"unknown field; did you mean {near[0]!r}?"
            if near
            else f"unknown field; known: {', '.join(known[:12])}"
        )
    if kind == "missing":
        return "is required"
    if kind == "literal_error":
        return f"must be one of {details['ctx']['expected']}; it is {_shown(details['input'])}"
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "string_type" and isinstance(details["input"], bool | int | float):
        return _unquoted(details["input"])
    if kind == "string_pattern_mismatch" and location[-1] == "uri":
        return (
            "must be s3://bucket/prefix, or file:///folder with percent escapes (%20 for a space, %25 for %), without white space; "
            f"it is {_shown(details['input'])}"
        )
    message = str(details["msg"])
    message = (
        message.replace("Input should be", "must be")
        .replace("String should", "must")
        .replace("Value error, ", "")
    )
    return f"{message[0].lower()}{message[1:]}; it is {_shown(details['input'])}"


def _unquoted(value: bool | float) -> str:
    """What to do about a word or number that YAML reads as something else than text."""
    if isinstance(value, bool):
        words = "yes, y, on or true" if value else "no, n, off or false"
        return f"must be text; YAML reads {words} without quotes as the boolean {_shown(value)}: write the word in quotes"
    return f'must be text; without quotes it is a number: write "{_shown(value)}"'


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
