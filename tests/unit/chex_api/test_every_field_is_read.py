"""No field does nothing: whatever a manifest or a runtime may say is read by some code that acts on it.

A field that nobody reads is still described, defaulted, validated and part of identities: people set it, and it changes
nothing but the name of a result.
"""

import pytest

from chex_api.base import Empty
from chex_api.dataset import Source
from chex_api.job import JobSpec
from chex_api.objective import DaptObjective, Objective
from chex_api.runtime import RuntimeSpec
from tests.unit.chex_api.readers import ROOT, Field, fields_of, models_below, readers

FIELDS = fields_of(JobSpec, RuntimeSpec)

READ_AS_PLAIN_DATA: dict[Field, tuple[str, str]] = {
    ("RuntimeReference", "kind"): (
        "operator/chex_operator/controller/projections.py",
        'part(spec, "runtimeRef")',
    ),
    ("RuntimeReference", "name"): (
        "operator/chex_operator/controller/projections.py",
        'part(spec, "runtimeRef")',
    ),
    ("Toleration", "effect"): ("operator/chex_operator/rendering/ray_job.py", "toleration.plain()"),
}
"""Fields that code reads without naming them in Python: the file, and the words that read them."""


@pytest.fixture(scope="module")
def read() -> dict[Field, list[str]]:
    return readers(FIELDS)


def choices() -> set[Field]:
    """Members of unions that take no settings: that they are given says what they say, by the others' absence."""
    return {
        (model.__name__, name)
        for root in (JobSpec, RuntimeSpec)
        for model in models_below(root)
        for name, field in model.model_fields.items()
        if Empty in getattr(field.annotation, "__args__", ())
    }


def in_a_table() -> set[Field]:
    """Members of unions that code goes through by their types; tests hold its tables equal to the members."""
    return {
        (model.__name__, name) for model in (Objective, DaptObjective, Source) for name in model.model_fields
    }


def test_every_field_is_read_by_code_that_acts_on_it(read: dict[Field, list[str]]) -> None:
    unread = {field for field, places in read.items() if not places}
    assert unread - READ_AS_PLAIN_DATA.keys() - choices() - in_a_table() == set()


def test_what_is_said_to_be_read_as_plain_data_is(read: dict[Field, list[str]]) -> None:
    for field, (file, words) in READ_AS_PLAIN_DATA.items():
        assert field in FIELDS, "the field is gone: take it out of the table"
        assert not read[field], "the field is read by its name now: take it out of the table"
        assert words in (ROOT / file).read_text()


@pytest.mark.parametrize(
    ("field", "place"),
    [
        (("FineTuning", "head_learning_rate_factor"), "jobs/chex_jobs/adaptation/fine_tune.py"),
        (("FineTuning", "min_steps"), "jobs/chex_jobs/adaptation/fine_tune.py"),
        (("Dapt", "epochs"), "jobs/chex_jobs/adaptation/dapt.py"),
        (("MoCo", "queue_size"), "jobs/chex_jobs/objectives/moco.py"),
        (("AdamW", "epsilon"), "jobs/chex_jobs/training/optimizer.py"),
    ],
)
def test_readers_are_found_where_they_are(read: dict[Field, list[str]], field: Field, place: str) -> None:
    assert any(each.startswith(f"{place}:") for each in read[field]), read[field]


def test_a_field_that_nobody_reads_is_found() -> None:
    """The name alone does not do: `workers` are held under that name, and nobody asks them for a learning rate."""
    invented = {("Workers", "learning_rate"), ("FineTuning", "per_trial")}
    assert readers(invented | FIELDS)["Workers", "learning_rate"] == []
    assert readers(invented | FIELDS)["FineTuning", "per_trial"] == []
