"""From a pydantic model to a structural OpenAPI v3 schema, the only kind that a CRD may hold.

pydantic emits JSON Schema 2020-12, of which the API server refuses a good part (`$ref`, `const`, `exclusiveMinimum`,
`prefixItems`, `anyOf` with types) and silently drops some. So this is a whitelist: what it does not know, it raises on.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from chex_api.base import OneOf
from chex_api.explain import facts

Schema = dict[str, Any]

INT32_MAX = 2_147_483_647
DROPPED = {"title", "additionalProperties"}
"""Of an object: titles repeat the name; unknown fields are refused by strict field validation, not by the schema."""
KEPT = {
    "string": {"type", "description", "default", "enum", "pattern", "minLength", "maxLength"},
    "integer": {"type", "description", "default", "minimum", "maximum"},
    "number": {"type", "description", "default", "minimum", "maximum"},
    "boolean": {"type", "description", "default"},
    "array": {"type", "description", "default", "items", "minItems", "maxItems"},
    "object": {"type", "description", "default", "properties", "required", "minProperties", "maxProperties"},
}
"""The keywords that may stand in the schema of each type."""
MAP_KEPT = {
    "type",
    "description",
    "default",
    "additionalProperties",
    "propertyNames",
    "maxProperties",
    "title",
}
BOUNDS = {
    "string": {"maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set[str](),
    "array": {"maxItems"},
}
"""The keywords that must: without bounds the API server cannot estimate what a CEL rule costs, and refuses the CRD."""


class NotStructural(ValueError):
    """A model uses what a CRD cannot hold. Says where and what."""


class _Generator(GenerateJsonSchema):
    """pydantic's generator; a union has exactly one member, which needs no CEL and refuses `x: null` as well."""

    def model_schema(self, schema: Any) -> Schema:
        generated = super().model_schema(schema)
        if issubclass(schema["cls"], OneOf):
            generated |= {"minProperties": 1, "maxProperties": 1}
        return generated


def structural_schema(model: type[BaseModel], *, defaults: bool = True) -> Schema:
    """The structural schema of a model, every reference written out.

    Args:
        model: The model of an object of the API.
        defaults: Whether the API server fills in defaults. Not in a status: what its writer left out stays left out.

    Raises:
        NotStructural: A field has no description or no bound, or uses a keyword outside the whitelist.
    """
    generated = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = generated.pop("$defs", {})
    return _Converter(definitions, defaults).convert(generated, model.__name__)


def at(schema: Schema, path: str) -> Schema:
    """The schema at a path such as `datasets[].split`; `[]` steps into a list's entries. Raises `KeyError`."""
    found = schema
    for step in path.split(".") if path else []:
        found = found["properties"][step.removesuffix("[]")]
        if step.endswith("[]"):
            found = found["items"]
    return found


def leaves_named(schema: Schema, names: frozenset[str], path: str = "") -> Iterator[str]:
    """Paths, as `at` reads them, of all string fields that bear one of the names."""
    for name, child in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        while child["type"] == "array":
            child, below = child["items"], f"{below}[]"
        if child["type"] == "string" and name in names:
            yield below
        yield from leaves_named(child, names, below)


class _Converter:
    def __init__(self, definitions: Mapping[str, Schema], defaults: bool) -> None:
        self._definitions = definitions
        self._defaults = defaults

    def convert(self, schema: Schema, where: str) -> Schema:
        """The structural form of one node of pydantic's schema."""
        schema = self._resolved(schema, where)
        kind = schema.get("type")
        if kind == "object" and "properties" not in schema:
            return (
                self._map(schema, where)
                if isinstance(schema.get("additionalProperties"), dict)
                else self._empty(schema, where)
            )
        if not isinstance(kind, str) or kind not in KEPT:
            raise NotStructural(f"{where}: type {kind!r} has no structural form")
        self._check_keywords(schema, kind, where)
        # Copies: a model that stands in two places would else share its lists, which YAML writes as an alias.
        converted = {key: copy.copy(value) for key, value in schema.items() if key in KEPT[kind]}
        if kind == "integer" and not -INT32_MAX <= schema["minimum"] <= schema["maximum"] <= INT32_MAX:
            converted["format"] = "int64"
        if "pattern" in converted:
            converted["pattern"] = _portable(converted["pattern"], where)
        if kind == "array":
            converted["items"] = self.convert(schema["items"], f"{where}[]")
            converted["x-kubernetes-list-type"] = "atomic"
        if kind == "object":
            converted["properties"] = {
                name: self._property(child, f"{where}.{name}") for name, child in schema["properties"].items()
            }
        self._set_default(schema, converted)
        return converted

    def _property(self, schema: Schema, where: str) -> Schema:
        converted = self.convert(schema, where)
        if not converted.get("description"):
            raise NotStructural(f"{where}: has no description; `kubectl explain` is the reference manual")
        if self._defaults and (more := facts(converted)):
            converted["description"] += f" {more}"
        return converted

    def _map(self, schema: Schema, where: str) -> Schema:
        unknown = schema.keys() - MAP_KEPT
        if unknown or "maxProperties" not in schema:
            raise NotStructural(f"{where}: a map needs maxProperties and cannot hold {sorted(unknown)}")
        converted = {key: schema[key] for key in ("type", "description", "maxProperties") if key in schema}
        converted["additionalProperties"] = self.convert(schema["additionalProperties"], f"{where}{{}}")
        converted |= _key_rules(schema.get("propertyNames", {}), where)
        self._set_default(schema, converted)
        return converted

    def _empty(self, schema: Schema, where: str) -> Schema:
        """An object without fields, such as `{random: {}}`."""
        self._check_keywords(schema, "object", where)
        converted = {key: schema[key] for key in ("type", "description") if key in schema}
        self._set_default(schema, converted)
        return converted

    def _resolved(self, schema: Schema, where: str) -> Schema:
        """Follow `$ref` and take the null out of an optional field; a field's own words come before its model's."""
        if "$ref" in schema:
            target = self._definitions[schema["$ref"].removeprefix("#/$defs/")]
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            words = {"description": _joined(beside, target)} if target.get("description") else {}
            return self._resolved(target | beside | words, where)
        if "anyOf" in schema:
            others = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
            if len(others) != 1 or schema.get("default", None) is not None:
                raise NotStructural(
                    f"{where}: a field of several types; write a union as an object with one member"
                )
            beside = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
            resolved = self._resolved(others[0], where)
            words = {"description": _joined(beside, resolved)} if resolved.get("description") else {}
            return resolved | beside | words
        if "const" in schema:
            return {
                **{key: value for key, value in schema.items() if key != "const"},
                "enum": [schema["const"]],
            }
        return schema

    def _check_keywords(self, schema: Schema, kind: str, where: str) -> None:
        unknown = schema.keys() - KEPT[kind] - DROPPED
        if unknown:
            raise NotStructural(
                f"{where}: {sorted(unknown)} cannot stand in the structural schema of type {kind}"
            )
        if kind == "object" and schema.get("additionalProperties") is not False:
            raise NotStructural(f"{where}: an object of the API is closed (extra='forbid')")
        missing = BOUNDS.get(kind, set()) - schema.keys()
        if missing and "enum" not in schema:
            raise NotStructural(f"{where}: needs {sorted(missing)}")

    def _set_default(self, schema: Schema, converted: Schema) -> None:
        converted.pop("default", None)
        if self._defaults and "default" in schema:
            converted["default"] = _without_nulls(schema["default"])


def _joined(field: Schema, model: Schema) -> str:
    """What a field says, then what its model says; once where one of them begins with the other's words."""
    said, more = field.get("description", ""), _lines_joined(model["description"])
    if more.startswith(said.rstrip(".")):
        return more
    return said if said.startswith(more.rstrip(".")) else f"{said}\n{more}"


def _lines_joined(text: str) -> str:
    """Paragraphs on one line each, as kubectl wants them, which breaks lines itself; what is indented stays as it is."""
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text)


def _without_nulls(value: Any) -> Any:
    """A default as a manifest would hold it. Written out in full: rules see a default before those below it are set."""
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        return {key: _without_nulls(item) for key, item in fields.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in cast(list[Any], value)]
    return value


def _key_rules(names: Schema, where: str) -> Schema:
    """Structural schemas know no `propertyNames`; a rule says the same."""
    if not names:
        return {}
    if names.keys() != {"minLength", "maxLength"}:
        raise NotStructural(f"{where}: keys of a map may have minLength and maxLength, and nothing else")
    low, high = names["minLength"], names["maxLength"]
    rule = f"self.all(key, size(key) >= {low} && size(key) <= {high})"
    return {
        "x-kubernetes-validations": [
            {"rule": rule, "message": f"each key must have {low} to {high} characters"}
        ]
    }


def _portable(pattern: str, where: str) -> str:
    r"""A pattern that Go reads as pydantic (Rust) does: Rust's `\s` is Unicode's white space, Go's is ASCII's.

    `\d` and `\w` differ likewise and are not accepted: write the characters out.
    """
    if re.search(r"\\[dwDWSbB]", pattern):
        raise NotStructural(
            rf"{where}: \d, \w, \S and \b differ between Go and Rust; write the characters out"
        )
    if re.search(r"\\s(?![^\[]*\])", pattern):
        raise NotStructural(rf"{where}: \s may stand inside [...] only")
    return pattern.replace(r"\s", r"\s\x0b\x85\p{Z}")
