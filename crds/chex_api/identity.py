"""Identities: SHA-256 of canonical JSON of everything that can change a result, and of nothing else.

Fields at their default are left out, so that a new field with a default changes no identity that exists. Should a
default itself ever change, the old one has to stay what is left out; `tests/unit/chex_api` holds golden identities.
"""

import hashlib
import json
from typing import Any, cast

from chex_api.base import ApiModel, OneOf, OutsideIdentity


def identity_of(plain: Any) -> str:
    """SHA-256, 64 hexadecimal digits, of plain JSON-like data: keys sorted, no white space, no NaN.

    Raises `ValueError` for NaN and infinities, `TypeError` for what JSON cannot hold.
    """
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def short(identity: str) -> str:
    """The part of an identity that stands in paths."""
    return identity[:12]


def relevant(model: ApiModel) -> dict[str, Any]:
    """The result-relevant part of a model in wire names: no marked field, no field at its default.

    A union always names its member, also where the member's own content is all defaults or stands outside identities
    (a location, whose digest the plan adds).
    """
    kept: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        wire_name = field.alias or name
        outside = any(isinstance(mark, OutsideIdentity) for mark in field.metadata)
        if isinstance(model, OneOf):
            if value is not None:
                kept[wire_name] = True if outside else _plain(value)
        elif not outside and (field.is_required() or _plain(value) != _plain(field.default)):
            kept[wire_name] = _plain(value)
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, ApiModel):
        return relevant(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in cast(tuple[Any, ...], value)]
    return value
