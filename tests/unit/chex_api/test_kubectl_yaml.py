"""Plain scalars become what kubectl makes of them; `tests/apiserver` holds the same against a real API server."""

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chex_api.kubectl_yaml import KubectlLoader, Scalar, json_number, plain_scalar

CASES: list[tuple[str, Scalar]] = [
    ("1e-4", 0.0001),
    ("1E4", 10000),
    ("1.0", 1),
    ("1_0.5", 10.5),
    (".5", 0.5),
    (".5_0", ".5_0"),
    ("y", True),
    ("N", False),
    ("yEs", "yEs"),
    ("0o17", 15),
    ("017", 15),
    ("08", 8),
    ("0X10", 16),
    ("-0b11", -3),
    ("1_000", 1000),
    ("1:30", "1:30"),
    ("2026-01-02", "2026-01-02"),
    ("1e999", "1e999"),
    ("-0.0", 0),
    ("9223372036854775807", 2**63 - 1),
    ("9223372036854775808", 2.0**63),
    ("-9223372036854775809", -(2**63)),
    ("~", None),
    ("", None),
    ("=", "="),
    ("<<", "<<"),
    ("0.1e", "0.1e"),
    ("0x", "0x"),
    ("-", "-"),
]


@pytest.mark.parametrize(("text", "value"), CASES)
def test_plain_scalar_is_read_as_kubectl_reads_it(text: str, value: Scalar) -> None:
    read = plain_scalar(text)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("text", [".inf", "-.INF", "+.Inf", ".nan"])
def test_what_json_cannot_hold_stays_so_that_the_caller_can_refuse_it(text: str) -> None:
    read = plain_scalar(text)
    assert isinstance(read, float)
    assert not math.isfinite(read)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_writes_is_read_back(value: float) -> None:
    assert plain_scalar(repr(value)) == value


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.text(st.characters(max_codepoint=0xD7FF)),
        st.lists,
        max_leaves=8,
    )
)
def test_json_is_read_as_json(value: object) -> None:
    assert yaml.load(json.dumps({"a": value}), Loader=KubectlLoader) == {"a": value}


def test_quoted_scalars_stay_text() -> None:
    assert yaml.load('["1", \'y\', "1e-4"]', Loader=KubectlLoader) == ["1", "y", "1e-4"]


@pytest.mark.parametrize(
    "text", ["!own 5", "!!binary NQ==", "!!timestamp 2026-01-02", "!!python/name:os.system"]
)
def test_tags_that_json_does_not_know_are_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="is not accepted"):
        yaml.load(text, Loader=KubectlLoader)


def test_aliases_are_refused_before_they_unfold() -> None:
    with pytest.raises(yaml.YAMLError, match="aliases"):
        yaml.load("[&a [1], *a]", Loader=KubectlLoader)


def test_repeated_keys_are_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="stands twice"):
        yaml.load("{a: 1, a: 2}", Loader=KubectlLoader)


def test_merge_keys_are_merged() -> None:
    assert yaml.load("{<<: {a: 1, b: 2}, b: 3}", Loader=KubectlLoader) == {"a": 1, "b": 3}


def test_integral_float_beyond_int64_stays_a_float() -> None:
    assert isinstance(json_number(1e19), float)
