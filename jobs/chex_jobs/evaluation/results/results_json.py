"""Frozen dataclasses to JSON and back, strictly: the stored form of ``results``.

A reader refuses what it does not know instead of guessing: unknown or missing members, wrong types and
non-finite numbers are errors that name the place, such as ``hospitals[1].arms[0].cost.labelled_patients``.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union

from chex_jobs.evaluation.results.schema import SCHEMA

T = TypeVar("T")


class ResultsFormatError(ValueError):
    """A results document does not have the declared form. The message names the place, what is there, what should be."""


def to_plain(value: object) -> Any:
    """Turns dataclasses, tuples, enums and dictionaries into what ``json`` writes.

    Raises ResultsFormatError for NaN and infinities: an undefined number is ``None``.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ResultsFormatError(f"a result is {value}; undefined numbers must be None, with a reason")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ResultsFormatError(f"a result has type {type(value).__name__}, which has no JSON form here")


def dumps(value: object) -> bytes:
    """UTF-8 JSON with sorted keys and a final newline: equal results give equal bytes."""
    return (json.dumps(to_plain(value), sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def dumps_line(value: object) -> bytes:
    """The same on one line, for JSON lines."""
    return (json.dumps(to_plain(value), sort_keys=True, ensure_ascii=False) + "\n").encode()


def loads(cls: type[T], data: bytes | str) -> T:
    """Reads a dataclass written by ``dumps``.

    Raises ResultsFormatError when the text is not JSON, is of another schema or has another form than
    ``cls``.
    """
    try:
        plain = json.loads(data)
    except ValueError as error:
        raise ResultsFormatError(f"results are not JSON: {error}") from error
    if isinstance(plain, dict) and plain.get("schema", SCHEMA) != SCHEMA:
        raise ResultsFormatError(
            f"results have schema {plain['schema']!r}, this version reads {SCHEMA!r}; "
            "make them again with `chex run`, or read them with the version that wrote them"
        )
    return from_plain(cls, plain)


def from_plain(cls: type[T], plain: Any) -> T:
    """Builds ``cls`` from parsed JSON. Raises ResultsFormatError with the place of the first fault."""
    return _read(cls, plain, "")


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _read(hint: Any, plain: Any, place: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return _read_optional(hint, plain, place)
    if origin is tuple:
        _demand(isinstance(plain, list), place, "a list", plain)
        item = typing.get_args(hint)[0]
        return tuple(_read(item, each, f"{place}[{i}]") for i, each in enumerate(plain))
    if origin is dict:
        _demand(isinstance(plain, dict), place, "an object", plain)
        item = typing.get_args(hint)[1]
        return {key: _read(item, each, f"{place}.{key}") for key, each in plain.items()}
    if is_dataclass(hint):
        return _read_dataclass(hint, plain, place)
    return _read_scalar(hint, plain, place)


def _read_optional(hint: Any, plain: Any, place: str) -> Any:
    if plain is None:
        return None
    (inner,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
    return _read(inner, plain, place)


def _read_dataclass(cls: Any, plain: Any, place: str) -> Any:
    _demand(isinstance(plain, dict), place, f"an object ({cls.__name__})", plain)
    hints = _hints(cls)
    unknown = sorted(set(plain) - set(hints))
    if unknown:
        raise ResultsFormatError(f"{place or 'results'}: unknown member {unknown[0]!r} of {cls.__name__}")
    values = {}
    for each in fields(cls):
        if each.name in plain:
            values[each.name] = _read(hints[each.name], plain[each.name], f"{place}.{each.name}".lstrip("."))
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ResultsFormatError(
                f"{place or 'results'}: member {each.name!r} of {cls.__name__} is missing"
            )
    return cls(**values)


def _read_scalar(hint: Any, plain: Any, place: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(plain)
        except ValueError:
            raise ResultsFormatError(
                f"{place}: {plain!r} is not one of {[each.value for each in hint]}"
            ) from None
    if hint is float:
        _demand(isinstance(plain, (int, float)) and not isinstance(plain, bool), place, "a number", plain)
        _demand(math.isfinite(plain), place, "a finite number", plain)
        return float(plain)
    if hint is int:
        _demand(isinstance(plain, int) and not isinstance(plain, bool), place, "an integer", plain)
        return plain
    _demand(isinstance(plain, hint), place, f"of type {hint.__name__}", plain)
    return plain


def _demand(holds: bool, place: str, wanted: str, plain: object) -> None:
    if not holds:
        raise ResultsFormatError(
            f"{place or 'results'}: expected {wanted}, found {type(plain).__name__} {plain!r:.60}"
        )
