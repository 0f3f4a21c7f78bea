"""Why a stage is not the one that was finished: a phrase for each thing that differs, and none for what does not."""

import copy
from typing import Any

import pytest

from chex_api.difference import differences
from chex_api.job import ChexTrainingJob
from chex_api.plan import make_plan
from chex_api.stage import StageKind
from tests.unit.chex_api.manifests import COMPLETE, DIGESTS, changed


def why(
    kind: StageKind, name: str, plain: dict[str, Any] = COMPLETE, digests: dict[str, str] = DIGESTS
) -> list[str]:
    """Why a stage of another manifest, or of other data, is not the complete one's."""
    before = make_plan(ChexTrainingJob.parse(COMPLETE), DIGESTS).stage(kind, name)
    plan = make_plan(ChexTrainingJob.parse(plain), digests)
    parents = {stage.identity: stage.label for stage in plan.stages}
    return differences(before.identified, plan.stage(kind, name).identified, parents)


def test_nothing_differs_from_itself() -> None:
    assert why("adapt", "north") == []


@pytest.mark.parametrize(
    ("path", "value", "phrase"),
    [
        ("spec.hospitals[0].sweep", {"trialsPerArm": 20}, "hospital.sweep.trialsPerArm: default → 20"),
        ("spec.hospitals[0].tasks", ["icu", "effusion"], "labels of task effusion: new"),
        ("spec.seed", 8, "seed: 7 → 8"),
    ],
)
def test_a_field_is_named_with_both_values(path: str, value: Any, phrase: str) -> None:
    plain = changed(path, value)
    digests = {**DIGESTS, "datasets/north/tasks/effusion": "f" * 64}
    assert phrase in why("adapt", "north", plain, digests)


def test_an_entry_that_is_added_to_a_list_is_named_and_the_others_are_not() -> None:
    plain = copy.deepcopy(COMPLETE)
    plain["spec"]["hospitals"][0]["strategies"].append({"name": "lp-ft", "transfer": "LPFT"})
    assert why("adapt", "north", plain) == ["hospital.strategies[lp-ft]: new"]


def test_films_labels_and_parents_are_told_apart() -> None:
    films, labels = (
        {**DIGESTS, "datasets/north": "d" * 64},
        {**DIGESTS, "datasets/north/tasks/icu": "d" * 64},
    )
    assert why("ingest", "north", digests=films) == [
        "the films, patients or reports at its source have changed"
    ]
    assert why("adapt", "north", digests=films) == ["ingest/north changed"]
    assert why("adapt", "north", digests=labels) == ["labels of task icu changed"]
    assert why("evaluate", "north", digests=labels) == ["adapt/north changed"]


def test_a_report_names_the_stages_that_are_others() -> None:
    assert why("report", "network", digests={**DIGESTS, "datasets/north/tasks/icu": "d" * 64}) == [
        "adapt/north is another",
        "evaluate/north is another",
    ]


def test_another_implementation_is_no_fault_of_the_manifest() -> None:
    stage = make_plan(ChexTrainingJob.parse(COMPLETE), DIGESTS).stage("ingest", "north")
    before = {**stage.identified, "implementationVersion": 0}
    (phrase,) = differences(before, stage.identified, {})
    assert phrase.startswith("this version of chex computes it differently (implementation 0 → ")
