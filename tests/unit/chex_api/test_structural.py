"""The emitter refuses whatever a structural schema cannot hold, instead of emitting what the API server drops."""

from typing import Annotated, Any

import pytest
from pydantic import Field, create_model

from chex_api.base import ApiModel, OneOf
from chex_api.cel import JOB_RULES
from chex_api.crd import KINDS, definition
from chex_api.structural import NotStructural, Schema, at, structural_schema


def model(annotation: Any, description: str | None = "A field.", **field: Any) -> type[ApiModel]:
    """A model with one field."""
    return create_model(
        "Model", __base__=ApiModel, field=(annotation, Field(description=description, **field))
    )


REFUSED: dict[str, tuple[type[ApiModel], str]] = {
    "exclusive bound": (model(float, gt=0, le=1), "exclusiveMinimum"),
    "no maximum": (model(int, ge=0), "maximum"),
    "text without limit": (model(str), "maxLength"),
    "list without limit": (model(tuple[bool, ...]), "maxItems"),
    "map without limit": (model(dict[str, bool]), "maxProperties"),
    "tuple of two": (model(tuple[bool, bool]), "prefixItems"),
    "two types": (model(int | str), "several types"),
    "no description": (model(bool, description=None), "no description"),
    "digits by class": (model(str, max_length=3, pattern=r"^\d$"), "differ"),
    "white space outside brackets": (model(str, max_length=3, pattern=r"^\s$"), "inside"),
    "multiple": (model(int, ge=0, le=9, multiple_of=3), "multipleOf"),
    "anything": (model(Any), "no structural form"),
}


@pytest.mark.parametrize(("refused", "words"), REFUSED.values(), ids=REFUSED)
def test_what_a_crd_cannot_hold_is_refused_by_name(refused: type[ApiModel], words: str) -> None:
    with pytest.raises(NotStructural, match=words):
        structural_schema(refused)


class Choice(OneOf):
    """A union."""

    first: bool | None = Field(default=None, description="One way.")
    second: Annotated[int, Field(ge=0, le=3)] | None = Field(default=None, description="Another way.")


def test_union_has_exactly_one_member() -> None:
    schema = structural_schema(Choice)
    assert (schema["minProperties"], schema["maxProperties"]) == (1, 1)
    assert "required" not in schema


def test_optional_field_has_no_default() -> None:
    assert "default" not in structural_schema(Choice)["properties"]["first"]


def test_default_is_written_out_without_nulls() -> None:
    schema = structural_schema(model(Choice, default=Choice(first=True)))
    assert schema["properties"]["field"]["default"] == {"first": True}


def test_status_has_no_defaults() -> None:
    schema = structural_schema(model(bool, default=True), defaults=False)
    assert "default" not in schema["properties"]["field"]


def test_integer_beyond_32_bits_says_so() -> None:
    schema = structural_schema(model(int, ge=0, le=2**40))
    assert schema["properties"]["field"]["format"] == "int64"


def test_unicode_white_space_is_excluded_as_pydantic_excludes_it() -> None:
    schema = structural_schema(model(str, max_length=3, pattern=r"^[^\s]*$"))
    assert schema["properties"]["field"]["pattern"] == r"^[^\s\x0b\x85\p{Z}]*$"


def test_rule_at_a_path_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        at(structural_schema(Choice), "first.nothing")


def test_every_rule_of_a_job_stands_in_its_definition() -> None:
    schema = definition(KINDS[0])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert {rule.expression for rule in JOB_RULES} <= set(rules(schema))


def rules(schema: Schema) -> list[str]:
    """Every CEL expression in a schema."""
    found = [rule["rule"] for rule in schema.get("x-kubernetes-validations", [])]
    children = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return found + [rule for child in children for rule in rules(child)]
