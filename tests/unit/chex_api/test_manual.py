"""What `kubectl explain` is helped to say."""

from typing import Any

import pytest

from chex_api.explain import facts
from chex_api.job import JobSpec
from chex_api.status import JobStatus
from chex_api.structural import at, structural_schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 512, "default": 16}, "Default: 16. From 1 to 512."),
        ({"type": "number", "minimum": 1e-9, "maximum": 10.0, "default": 1e-4}, "Default: 0.0001. From 1e-09 to 10."),
        ({"type": "integer", "minimum": 0, "maximum": 2**62}, "At least 0."),
        ({"type": "number", "minimum": -1e12, "maximum": 1e12}, ""),
        ({"type": "boolean", "default": False}, "Default: false."),
        ({"type": "string", "default": "", "maxLength": 63}, ""),
        ({"type": "string", "enum": ["AUROC", "AUPRC"], "default": "AUROC"}, "Default: AUROC."),
        ({"type": "string", "enum": list("abcde")}, "One of a, b, c, d, e."),
        ({"type": "array", "minItems": 1, "maxItems": 2, "default": ["Frontal"]}, "Default: Frontal. 1 to 2 entries."),
        ({"type": "array", "maxItems": 8, "default": [{"name": "a"}]}, "At most 8 entries."),
        ({"type": "object", "maxProperties": 1, "default": {"tpe": {"startupTrials": 4}}}, "Default: tpe."),
        ({"type": "object", "default": {"cpu": "4"}}, ""),
    ],
)  # fmt: skip
def test_defaults_bounds_and_long_choices_are_told(schema: dict[str, Any], said: str) -> None:
    assert facts(schema) == said


def test_every_bound_of_a_manifest_is_in_its_description() -> None:
    sweep = at(structural_schema(JobSpec), "hospitals[].sweep")
    assert sweep["properties"]["trialsPerArm"]["description"].endswith("Default: 16. From 1 to 512.")


def test_a_status_has_no_defaults_to_tell() -> None:
    assert "Default" not in str(structural_schema(JobStatus, defaults=False))


def test_words_of_a_field_come_before_those_of_its_model_and_nothing_is_said_twice() -> None:
    hospital = at(structural_schema(JobSpec), "hospitals[]")["properties"]
    first, second = hospital["batchNorm"]["description"].split("\n")
    assert first == "How batches are normalised; groups larger than a batch shrink to it."
    assert second.startswith("Normalisation in groups of films")
    assert hospital["evaluation"]["description"].count("How test results are judged") == 1


def test_a_sweep_is_explained_with_its_cost_and_an_example() -> None:
    words = at(structural_schema(JobSpec), "hospitals[].sweep")["description"]
    assert "What it costs" in words
    assert "\n  sweep:\n    trialsPerArm: 12" in words
    assert "seen by no trial. The winner of an arm" in words  # kubectl breaks the lines of a paragraph itself
