"""What was accepted once is worked from as it was, whatever version of the operator works from it."""

import json
from typing import Any

import pytest

from chex_api.job import JobSpec
from chex_api.plan import digest_keys, make_plan
from chex_operator.kube.resource import Object
from chex_operator.rules.frozen_plan import (
    PLAN_KEY,
    document_of,
    freeze,
    frozen_document,
    plan_identity,
    plan_objects,
    read_plan,
)
from tests.unit.chex_operator.reconcile.world import manifest
from tests.unit.chex_operator.rendering.attempts import JOB, runtime


@pytest.fixture
def objects() -> tuple[Object, ...]:
    job = manifest()
    plan = make_plan(job, dict.fromkeys(digest_keys(job.spec), "0" * 64))
    return plan_objects(JOB, freeze(JOB, plan_identity(job.spec), plan, runtime()), plan)


def test_a_field_that_a_later_version_adds_with_a_default_makes_no_other_plan() -> None:
    class LaterSpec(JobSpec):
        invented: int = 7

    spec = manifest().spec
    assert plan_identity(LaterSpec.parse(spec.plain())) == plan_identity(spec)
    assert plan_identity(LaterSpec.parse({**spec.plain(), "invented": 8})) != plan_identity(spec)


def test_defaults_may_be_written_out_or_not() -> None:
    plain = manifest().spec.plain()
    assert plain.pop("seed") == JobSpec.model_fields["seed"].default
    assert plan_identity(JobSpec.parse(plain)) == plan_identity(manifest().spec)


def test_the_run_policy_may_change_and_nothing_else() -> None:
    def identity(**changes: Any) -> str:
        return plan_identity(JobSpec.parse({**manifest().spec.plain(), **changes}))

    assert identity(runPolicy={"suspend": True}) == identity()
    assert identity(seed=77) != identity()


def test_the_plan_that_follows_the_mending_of_a_runtime_is_another_one() -> None:
    job = manifest()
    plan = make_plan(job, dict.fromkeys(digest_keys(job.spec), "0" * 64))
    mended = runtime(head={"cpu": "4", "memory": "64Gi"})
    names = {freeze(JOB, plan_identity(job.spec), plan, each).name for each in (runtime(), mended)}
    assert len(names) == 2


def test_a_plan_of_a_later_version_is_read_though_it_says_more(objects: tuple[Object, ...]) -> None:
    data = objects[-1]["data"]
    later = json.loads(data[PLAN_KEY])
    later["invented"] = later["runtime"]["invented"] = later["stages"][0]["invented"] = "later"
    assert read_plan({PLAN_KEY: json.dumps(later)}) == read_plan(data)


def test_a_driver_is_given_the_very_text_that_was_frozen(objects: tuple[Object, ...]) -> None:
    job = manifest()
    plan = make_plan(job, dict.fromkeys(digest_keys(job.spec), "0" * 64))
    assert [frozen_document(each["data"]) for each in objects[:-1]] == [
        document_of(stage) for stage in plan.stages
    ]
    assert frozen_document({"stage.json": '{"of": "another version"}'}) == '{"of": "another version"}'
