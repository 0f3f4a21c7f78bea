"""The plan: what changes an identity and, as important, what does not."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_api.identity import identity_of
from chex_api.job import ChexTrainingJob
from chex_api.plan import UnresolvedDigest, digest_keys, make_plan, stage_names, start_labels
from chex_api.pretraining import StartFrom
from chex_api.stage import Exposure, StageSpec
from tests.unit.chex_api.manifests import COMPLETE, DIGESTS, changed


def identities(plain: dict[str, Any], digests: dict[str, str] = DIGESTS) -> dict[str, str]:
    plan = make_plan(ChexTrainingJob.parse(plain), digests)
    return {stage.label: stage.identity for stage in plan.stages}


def moved(plain: dict[str, Any], digests: dict[str, str] = DIGESTS) -> set[str]:
    before, after = identities(COMPLETE), identities(plain, digests)
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


NORTH = {"adapt/north", "evaluate/north", "report/network"}
SOUTH = {"adapt/south", "evaluate/south", "report/network"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.artifacts.uri", "s3://elsewhere/x"),
        ("spec.runtimeRef", {"name": "h200"}),
        ("spec.pretraining[0].workers", {"count": 8, "minAvailable": 4, "pool": "big"}),
        ("spec.pretraining[0].checkpoint", {"everyMinutes": 1}),
        ("spec.pretraining[0].deepSpeed", {"zeroStage": 2}),
        ("spec.hospitals[0].sweep", {"concurrency": 9}),
        ("spec.hospitals[0].workers", {"count": 3}),
        ("spec.datasets[1].quarantine", {"maxShare": 0.5}),
        ("spec.datasets[1].source.table.uri", "s3://moved/cxr"),
        ("spec.encoders.text.init.uri", "s3://moved/bert"),
        ("spec.runPolicy", {"backoffLimit": 9, "queueName": "research", "budget": {"gpuHours": 4}}),
        ("spec.encoders.image.init", {"random": {}}),
        ("spec.hospitals[0].evaluation", {"alsoOn": ["south"], "confidence": 0.95}),
    ],
)
def test_what_cannot_change_a_result_changes_no_identity(path: str, value: Any) -> None:
    assert moved(changed(path, value)) == set()


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("spec.pretraining[1].optimization.epochs", 5, {"pretrain/multimodal"} | NORTH),
        ("spec.pretraining[0].batchNorm", {"groupSize": 16}, {"pretrain/ssl", "pretrain/multimodal"} | NORTH),
        ("spec.pretraining[0].precision", "Float32", {"pretrain/ssl", "pretrain/multimodal"} | NORTH),
        ("spec.encoders.text.maxTokens", 50, {"pretrain/multimodal"} | NORTH),
        ("spec.hospitals[0].sweep", {"trialsPerArm": 20}, NORTH),
        ("spec.hospitals[1].precision", "Float32", SOUTH),
        (
            "spec.hospitals[0].evaluation",
            {"alsoOn": ["south"], "margin": 0.05},
            {"evaluate/north", "report/network"},
        ),
        ("spec.datasets[1].unit", "Patient", {"ingest/north"} | NORTH),
        ("spec.datasets[2].storedShortSide", 64, {"ingest/south", "evaluate/north"} | SOUTH),
        ("spec.datasets[2].source.phantom.seed", 4, {"ingest/south", "evaluate/north"} | SOUTH),
    ],
)
def test_a_field_changes_its_own_stage_and_those_after_it(path: str, value: Any, expected: set[str]) -> None:
    assert moved(changed(path, value)) == expected


def test_a_strategy_added_to_one_hospital_leaves_the_others_and_all_pretraining_alone() -> None:
    plain = copy.deepcopy(COMPLETE)
    plain["spec"]["hospitals"][0]["strategies"].append({"name": "lp-ft", "transfer": "LPFT"})
    assert moved(plain) == NORTH


def test_films_that_changed_move_their_data_set_and_what_follows() -> None:
    assert moved(COMPLETE, {**DIGESTS, "datasets/north": "d" * 64}) == {"ingest/north"} | NORTH


def test_labels_that_changed_move_whoever_reads_them_and_no_films() -> None:
    assert moved(COMPLETE, {**DIGESTS, "datasets/north/tasks/icu": "d" * 64}) == NORTH


def test_a_task_that_nobody_uses_moves_nothing() -> None:
    plain = copy.deepcopy(COMPLETE)
    plain["spec"]["datasets"][1]["tasks"].append(
        {"name": "spare", "column": "spare", "positive": {"present": {}}}
    )
    assert moved(plain) == set()


def test_a_task_that_one_hospital_begins_to_use_leaves_films_pretraining_and_other_hospitals_alone() -> None:
    plain = copy.deepcopy(COMPLETE)
    plain["spec"]["hospitals"][0]["tasks"] = ["icu", "effusion"]
    digests = {**DIGESTS, "datasets/north/tasks/effusion": "f" * 64}
    assert moved(plain, digests) == NORTH


def test_films_in_folds_move_with_the_outcomes_by_which_patients_are_dealt_out() -> None:
    plain = copy.deepcopy(COMPLETE)
    plain["spec"]["datasets"][2]["tasks"][0]["blank"] = "Ignore"
    assert moved(plain) == {"ingest/south"} | SOUTH | {"evaluate/north"}


def test_films_in_folds_do_not_move_with_a_task_that_their_hospital_does_not_use() -> None:
    plain = copy.deepcopy(COMPLETE)
    spare = {"name": "spare", "column": "spare", "positive": {"present": {}}}
    plain["spec"]["datasets"][2]["tasks"].append(spare)
    assert moved(plain) == set()


def test_what_an_identity_is_the_digest_of_goes_with_the_stage() -> None:
    for stage in make_plan(ChexTrainingJob.parse(COMPLETE), DIGESTS).stages:
        assert identity_of(stage.identified) == stage.identity


def test_changed_text_weights_move_only_what_reads_text() -> None:
    assert moved(COMPLETE, {**DIGESTS, "encoders/text": "d" * 64}) == {"pretrain/multimodal"} | NORTH


def test_the_seed_moves_everything() -> None:
    assert moved(changed("spec.seed", 8)) == set(identities(COMPLETE))


def test_a_stage_comes_after_its_parents_and_names_agree_with_those_known_without_digests() -> None:
    job = ChexTrainingJob.parse(COMPLETE)
    plan = make_plan(job, DIGESTS)
    seen: set[str] = set()
    for stage in plan.stages:
        assert {parent.identity for parent in stage.parents} <= seen
        seen.add(stage.identity)
    assert [(stage.kind, stage.name) for stage in plan.stages] == stage_names(job)


def test_a_stage_spec_survives_its_journey_as_json() -> None:
    for stage in make_plan(ChexTrainingJob.parse(COMPLETE), DIGESTS).stages:
        assert StageSpec.model_validate_json(stage.model_dump_json(by_alias=True, exclude_none=True)) == stage


def test_an_unknown_digest_is_named() -> None:
    with pytest.raises(UnresolvedDigest, match="datasets/north"):
        make_plan(ChexTrainingJob.parse(COMPLETE), {"datasets/archive": "a" * 64, "encoders/text": "c" * 64})


def test_every_location_that_the_plan_needs_is_announced() -> None:
    assert set(digest_keys(ChexTrainingJob.parse(COMPLETE).spec)) == set(DIGESTS)


def test_starts_of_one_kind_get_labels_of_their_own() -> None:
    weights = [StartFrom.parse({"weights": {"uri": f"s3://w/{index}"}}) for index in range(2)]
    assert start_labels((*weights, StartFrom.parse({"stage": "ssl"}))) == ["weights", "weights-2", "ssl"]


def test_a_data_set_that_nobody_uses_is_not_ingested() -> None:
    plain = copy.deepcopy(COMPLETE)
    plain["spec"]["datasets"].append({"name": "spare", "source": {"phantom": {}}, "split": {"patients": {}}})
    assert "ingest/spare" not in identities(plain)


def exposures(start: dict[str, Any], first: dict[str, Any]) -> list[Exposure]:
    """What the one start of hospital north has seen, as adaptation and evaluation are told; `ssl` starts from `first`."""
    plain = copy.deepcopy(COMPLETE)
    plain["spec"]["hospitals"][0]["startFrom"] = [start]
    plain["spec"]["pretraining"][0]["startFrom"] = first
    digests = DIGESTS | {
        f"{owner}/weights/s3://w/x": "e" * 64 for owner in ("hospitals/north", "pretraining/ssl")
    }
    plan = make_plan(ChexTrainingJob.parse(plain), digests)
    adapt, evaluate = plan.stage("adapt", "north").work.adapt, plan.stage("evaluate", "north").work.evaluate
    assert adapt is not None
    assert evaluate is not None
    return [adapt.exposures[0], evaluate.exposures[0]]


RANDOM = {"random": {}}
WEIGHTS = {"weights": {"uri": "s3://w/x", "trainedOn": ["south"]}}
UNKNOWN = {"weights": {"uri": "s3://w/x"}}
PINNED = {"manifest": {"uri": "s3://other/stages/pretrain-ssl-1", "sha256": "f" * 64}}


@pytest.mark.parametrize(
    ("start", "first", "training", "whole", "elsewhere"),
    [
        ({"stage": "multimodal"}, RANDOM, ["archive"], [], []),
        ({"stage": "multimodal"}, WEIGHTS, ["archive"], ["south"], [("s3://w/x", True)]),
        (WEIGHTS, RANDOM, [], ["south"], [("s3://w/x", True)]),
        (UNKNOWN, RANDOM, [], [], [("s3://w/x", False)]),
        (PINNED, RANDOM, [], [], [("s3://other/stages/pretrain-ssl-1", False)]),
        ({"stage": "ssl"}, PINNED, ["archive"], [], [("s3://other/stages/pretrain-ssl-1", False)]),
    ],
)
def test_what_a_start_has_seen_is_told_back_to_its_first_weights(
    start: dict[str, Any],
    first: dict[str, Any],
    training: list[str],
    whole: list[str],
    elsewhere: list[tuple[str, bool]],
) -> None:
    for found in exposures(start, first):
        assert [each.name for each in found.training] == training
        assert [each.name for each in found.whole] == whole
        assert [(each.uri, each.declared) for each in found.elsewhere] == elsewhere


def test_an_encoders_own_first_weights_from_elsewhere_are_weights_from_elsewhere() -> None:
    plain = changed("spec.encoders.image.init", {"uri": "s3://w/timm"})
    plan = make_plan(ChexTrainingJob.parse(plain), DIGESTS | {"encoders/image": "e" * 64})
    adapt = plan.stage("adapt", "south").work.adapt
    assert adapt is not None
    assert [each.uri for each in adapt.exposures[0].elsewhere] == ["s3://w/timm"]


def test_what_weights_are_said_to_have_seen_moves_evaluations_only() -> None:
    before, after = (changed("spec.hospitals[0].startFrom", [start]) for start in (UNKNOWN, WEIGHTS))
    digests = DIGESTS | {"hospitals/north/weights/s3://w/x": "e" * 64}
    first, second = identities(before, digests), identities(after, digests)
    assert {name for name in first if first[name] != second[name]} == {"evaluate/north", "report/network"}


def test_a_data_set_that_weights_have_seen_is_ingested_to_be_compared() -> None:
    plain = changed("spec.hospitals[0].startFrom", [{"weights": {"uri": "s3://w/x", "trainedOn": ["spare"]}}])
    plain["spec"]["datasets"].append({"name": "spare", "source": {"phantom": {}}, "split": {"patients": {}}})
    digests = DIGESTS | {"hospitals/north/weights/s3://w/x": "e" * 64}
    assert "ingest/spare" in identities(plain, digests)


def test_golden_identities_have_not_moved() -> None:
    """A change here makes every finished GPU-month of every user run again. It needs a reason in the changelog."""
    found = {name: identity[:12] for name, identity in identities(COMPLETE).items()}
    assert found == GOLDEN


GOLDEN: dict[str, str] = {
    "ingest/archive": "57fec174d4b7",
    "ingest/north": "af5b2e7f656a",
    "ingest/south": "a959665322e7",
    "pretrain/ssl": "479513296774",
    "pretrain/multimodal": "4e09a0f85617",
    "adapt/north": "5ad60e4523fe",
    "adapt/south": "6f4945187557",
    "evaluate/north": "a620ecb13607",
    "evaluate/south": "6f2067fd4b3c",
    "report/network": "c863efdd9561",
}

plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), plain_values, max_size=6))
def test_an_identity_does_not_depend_on_the_order_of_keys(plain: dict[str, Any]) -> None:
    assert identity_of(plain) == identity_of(dict(reversed(plain.items())))


@given(plain_values, plain_values)
def test_different_values_have_different_identities(first: Any, second: Any) -> None:
    if repr(first) != repr(second) and first != second:
        assert identity_of(first) != identity_of(second)


def test_an_identity_of_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        identity_of({"loss": float("nan")})
