"""YAML as kubectl and the API server read it, for PyYAML.

Both use sigs.k8s.io/yaml 1.6 (go.yaml.in/yaml/v2 2.4, then Go's JSON), which is neither PyYAML's YAML 1.1 nor YAML 1.2:

| text                        | kubectl                                 | PyYAML            |
|-----------------------------|-----------------------------------------|-------------------|
| `1e-4`, `1E4`, `1_0.5`      | numbers                                 | strings           |
| `1.0`, `1e2`                | the integers 1 and 100: JSON writes so  | floats            |
| `y`, `Y`, `n`, `N`          | booleans, as `yes`, `no`, `on`, `off`   | strings           |
| `0o17`, `0X10`, `0B1`       | 15, 16, 1                               | strings           |
| `017`, `08`, `1_000`        | 15, 8, 1000                             | 15, string, 1000  |
| `1:30`                      | a string                                | 90                |
| `2026-01-02`                | a string                                | a date            |
| `1e999`                     | a string: no float64 holds it           | infinity          |
| 2^63 and above              | floats                                  | integers          |

`tests/apiserver` holds each line against a real API server. Refused here alone, because no manifest needs them: aliases
(a few lines unfold to gigabytes) and tags other than those of the scalars above.
"""

# pyright: basic
# PyYAML's stubs leave the inside of loaders untyped, so strict has nothing to check there.

import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

Scalar = bool | int | float | str | None

_PLAIN = "tag:chexdragon.dev,2026:plain"
"""Our tag for a scalar without quotes or tag, so that one function says what it is."""
_MERGE = "tag:yaml.org,2002:merge"
_CORE_TAGS = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")
} | {_PLAIN, _MERGE}

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))")
_BASES = (16, 2, 8, 10)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def plain_scalar(text: str) -> Scalar:
    """The value of a scalar without quotes or tag. Infinities and NaN stay: JSON holds none, so the caller refuses them."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    digits = text if text[0] == "." else text.replace("_", "")
    whole = _integer(digits)
    if whole is not None:
        return whole
    if _FLOAT.fullmatch(digits):
        value = float(digits)
        return text if value in (float("inf"), float("-inf")) else json_number(value)
    return text


def json_number(value: float) -> int | float:
    """A float after the way through JSON: Go writes 1.0 as `1`, which is then read as an integer, if an int64 holds it."""
    return int(value) if value.is_integer() and -(2**63) <= value < 2**63 else value


def _integer(digits: str) -> int | float | None:
    matched = _INTEGER.fullmatch(digits)
    if matched is None:
        return None
    sign, *written = matched.groups()
    value = next(
        int(number, base) for number, base in zip(written, _BASES, strict=True) if number is not None
    )
    value = -value if sign == "-" else value
    if -(2**63) <= value < 2**63:
        return value
    return float(value) if not sign and value < 2**64 else None


class KubectlLoader(yaml.SafeLoader):
    """PyYAML's safe loader with kubectl's scalars, no aliases, no tags of one's own and no repeated keys."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """Leave every plain scalar but the merge key to `plain_scalar`."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _MERGE if value == "<<" else _PLAIN
        return super().resolve(kind, value, implicit)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a value; refuse tags that mean nothing in JSON."""
        if node.tag not in _CORE_TAGS:
            raise ConstructorError(
                None,
                None,
                f"the tag {node.tag!r} is not accepted; write the value without it",
                node.start_mark,
            )
        value = super().construct_object(node, deep)
        return json_number(value) if isinstance(value, float) else value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; a key that stands twice is a fault, as it is for the API server's strict decoding."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node)
            if key in seen:
                raise ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise ComposerError(None, None, "aliases (*name) are not accepted; write the value out", mark)
        return super().compose_node(parent, index)


def _construct_plain(_: yaml.SafeLoader, node: yaml.ScalarNode) -> Scalar:
    return plain_scalar(node.value)


def _construct_merge_sign(_: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    """A `<<` that is no key is text."""
    return node.value


KubectlLoader.add_constructor(_PLAIN, _construct_plain)
KubectlLoader.add_constructor(_MERGE, _construct_merge_sign)
