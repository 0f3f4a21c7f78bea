"""What `kubectl explain` leaves out of a schema, in words: defaults, bounds, choices beyond the first four."""

from collections.abc import Iterator
from typing import Any, cast

SHOWN_CHOICES = 4
"""kubectl prints so many members of an enum, then dots."""
NO_BOUND = 1e9
"""A number beyond it stands in a schema because some bound must, not because anybody would reach it."""

Schema = dict[str, Any]


def facts(schema: Schema) -> str:
    """Sentences for the end of a field's description; empty where the schema says no more than kubectl does."""
    return " ".join((*_choices(schema), *_default(schema), *_bounds(schema)))


def _choices(schema: Schema) -> Iterator[str]:
    choices = schema.get("enum", ())
    if len(choices) > SHOWN_CHOICES:
        yield f"One of {', '.join(choices)}."


def _default(schema: Schema) -> Iterator[str]:
    default = schema.get("default")
    if isinstance(default, dict):
        if schema.get("maxProperties") == 1:
            yield f"Default: {next(iter(cast(Schema, default)))}."
    elif isinstance(default, list):
        entries = cast(list[Any], default)
        if entries and not any(isinstance(each, dict) for each in entries):
            yield f"Default: {', '.join(map(_plain, entries))}."
    elif default is not None and default != "":
        yield f"Default: {_plain(default)}."


def _bounds(schema: Schema) -> Iterator[str]:
    if schema["type"] == "array":
        low, high = schema.get("minItems", 0), schema["maxItems"]
        yield f"{low} to {high} entries." if low else f"At most {high} entries."
    elif "minimum" in schema:
        low, high = schema["minimum"], schema["maximum"]
        if high < NO_BOUND:
            yield f"From {_plain(low)} to {_plain(high)}."
        elif low > -NO_BOUND:
            yield f"At least {_plain(low)}."


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
