"""What every API model shares: camelCase names, closed objects, unions with exactly one member, bounded types."""

import json
from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class OutsideIdentity:
    """Marks a field that cannot change a result, so that it is left out of every identity."""

    def __repr__(self) -> str:
        return "OutsideIdentity()"


OUTSIDE_IDENTITY = OutsideIdentity()


class ApiModel(BaseModel):
    """A closed, frozen object of the API. Attribute names are snake_case, wire names camelCase.

    Validation is strict, as the API server's is: a string is not a number. Read manifests with `chex_api.loading`,
    which speaks JSON to pydantic, so that JSON lists become tuples.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,  # only what is used is built: half of the start-up time of `chex validate`
    )

    @classmethod
    def parse(cls, plain: Mapping[str, Any]) -> Self:
        """Validate plain JSON-like data (lists, dicts, strings, numbers). Raises `pydantic.ValidationError`."""
        return cls.model_validate_json(json.dumps(plain))

    def plain(self) -> dict[str, Any]:
        """The object as it stands in a manifest: camelCase, defaults written out, absent members left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Record(ApiModel):
    """A document that we store and read again.

    Keys that a reader does not know are passed over, so that what an earlier version has written stays readable.
    """

    model_config = ConfigDict(extra="ignore")

    def plain(self) -> dict[str, Any]:
        """As it is stored: camelCase; what is absent is null."""
        return self.model_dump(mode="json", by_alias=True)


class OneOf(ApiModel):
    """An object with exactly one member, the API's form of a union: `{moCo: {...}}`."""

    @model_validator(mode="after")
    def _exactly_one_member(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            known = ", ".join(self.member_names())
            raise ValueError(f"must have exactly one member of: {known}; it has {len(given)}")
        return self

    @classmethod
    def member_names(cls) -> list[str]:
        """The members' wire names, in the order of declaration."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def member_types(cls) -> dict[str, type[Any]]:
        """The type of each member, by wire name."""
        return {
            field.alias or name: next(each for each in get_args(field.annotation) if each is not NoneType)
            for name, field in cls.model_fields.items()
        }

    def member(self) -> tuple[str, Any]:
        """The wire name of the one member that is given, and its value."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is not None:
                return field.alias or name, value
        raise AssertionError("validated unions have a member")


class Empty(ApiModel):
    """Takes no settings: `{}`."""


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
"""A DNS label, as Kubernetes uses it: lower-case letters, digits, hyphens."""

Uri = Annotated[str, Field(pattern=r"^(s3|file)://[^\s]*$", min_length=7, max_length=1024)]
"""`s3://bucket/prefix`, or `file:///folder` with `chex run` only. `file:` URIs have percent escapes, S3 keys stand as they are."""

LONGEST_URI = 2048
"""Characters that an artifact's address may have: those of its job's folder, and our own names below it."""

ColumnName = Annotated[str, Field(min_length=1, max_length=128)]
OptionalColumnName = Annotated[str, Field(max_length=128)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFraction = Annotated[float, Field(ge=0.0001, le=1.0)]
Text = Annotated[str, Field(max_length=256)]
Quantity = Annotated[
    str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$", min_length=1, max_length=32)
]
"""A Kubernetes resource quantity, such as `4`, `500m` or `16Gi`."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64)]
