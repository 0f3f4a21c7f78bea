"""`load_job`: every fault at once, each with its field path."""

from typing import get_args

import pytest
import yaml

from chex_api.hospital import FineTuning
from chex_api.loading import MAX_MANIFEST_BYTES, load_job, validate_job
from chex_api.structural import structural_schema
from chex_api.sweep import SweepParameter
from tests.unit.chex_api.manifests import COMPLETE, changed


def paths(plain: dict) -> list[str]:
    return [fault.path for fault in validate_job(plain).faults]


def test_a_complete_manifest_has_no_fault() -> None:
    assert load_job(yaml.safe_dump(COMPLETE)).faults == ()


def test_all_faults_are_named_at_once() -> None:
    plain = changed("spec.pretraining[0].optimization.learningRate", "fast")
    plain["spec"]["hospitals"][0]["tasks"] = ["icu", "ico"]
    plain["spec"]["datasets"][2]["name"] = "archive"
    assert {
        "spec.pretraining[0].optimization.learningRate",
        "spec.hospitals[0].tasks[1]",
        "spec.datasets[2].name",
    } <= set(paths(plain))


@pytest.mark.parametrize(
    ("path", "value", "fault_at"),
    [
        ("spec.pretraining[0].objective", {}, "spec.pretraining[0].objective"),
        (
            "spec.pretraining[0].objective",
            {"moCo": {"queueSize": 512}, "clip": {}},
            "spec.pretraining[0].objective",
        ),
        ("spec.pretraining[0].startFrom", {"stage": "multimodal"}, "spec.pretraining[0].startFrom.stage"),
        ("spec.pretraining[0].dataset", "south", "spec.pretraining[0].dataset"),
        ("spec.pretraining[0].objective.moCo.queueSize", 100, "spec.pretraining[0].objective.moCo.queueSize"),
        (
            "spec.pretraining[0].batchNorm",
            {"groupSize": 48},
            "spec.pretraining[0].optimization.globalBatchSize",
        ),
        (
            "spec.pretraining[0].workers",
            {"count": 2, "minAvailable": 3},
            "spec.pretraining[0].workers.minAvailable",
        ),
        (
            "spec.hospitals[0].strategies[0].dapt",
            {"objective": {"moCo": {"queueSize": 100}}, "globalBatchSize": 32},
            "spec.hospitals[0].strategies[0].dapt.objective.moCo.queueSize",
        ),
        ("spec.hospitals[0].workers", {"perTrial": 1}, "spec.hospitals[0].workers.perTrial"),
        ("spec.pretraining[1].dataset", "north", "spec.pretraining[1].objective.clip"),
        ("spec.pretraining[1].objective", {"supervised": {}}, "spec.pretraining[1].objective.supervised"),
        (
            "spec.datasets[1].split.patients",
            {"validate": 0.5, "test": 0.5},
            "spec.datasets[1].split.patients",
        ),
        ("spec.datasets[1].split.patients", {"test": 0.0}, "spec.hospitals[0].dataset"),
        ("spec.datasets[1].split", {"official": {}}, "spec.datasets[1].split.official"),
        (
            "spec.datasets[1].tasks[0].positive",
            {"range": {"min": 2, "max": 1}},
            "spec.datasets[1].tasks[0].positive.range",
        ),
        ("spec.datasets[1].tasks[0].positive", {"range": {}}, "spec.datasets[1].tasks[0].positive.range"),
        ("spec.datasets[1].source.table.uri", "s3://north/../south", "spec.datasets[1].source.table.uri"),
        ("spec.hospitals[0].evaluation.alsoOn", ["north"], "spec.hospitals[0].evaluation.alsoOn[0]"),
        ("spec.hospitals[0].labelFractions", [0.5, 0.5], "spec.hospitals[0].labelFractions[1]"),
        ("spec.hospitals[0].startFrom", [{"stage": "sll"}], "spec.hospitals[0].startFrom[0].stage"),
        (
            "spec.hospitals[0].sweep",
            {"space": [{"parameter": "learningRate", "logUniform": {"min": 1, "max": 1}}]},
            "spec.hospitals[0].sweep.space[0].logUniform",
        ),
        (
            "spec.hospitals[0].sweep",
            {"space": [{"parameter": "learningRate"}]},
            "spec.hospitals[0].sweep.space[0]",
        ),
    ],
)
def test_a_rule_is_broken_at_its_field(path: str, value: object, fault_at: str) -> None:
    assert fault_at in paths(changed(path, value))


@pytest.mark.parametrize("parameter", get_args(SweepParameter))
def test_a_search_keeps_to_the_bounds_of_the_field_that_it_searches(parameter: str) -> None:
    field = structural_schema(FineTuning)["properties"][parameter]
    low, high = field["minimum"], field["maximum"]
    beyond = [low - 1, low * 0.5 if low else -1e-9, high * 1.01]

    def faults(entry: dict) -> list[str]:
        return paths(changed("spec.hospitals[0].sweep", {"space": [{"parameter": parameter, **entry}]}))

    assert faults({"numbers": [low, high]}) == []
    for number in beyond:
        assert faults({"numbers": [low, number]}) == ["spec.hospitals[0].sweep.space[0].numbers[1]"]
    assert "spec.hospitals[0].sweep.space[0].uniform.min" in faults(
        {"uniform": {"min": low - 1, "max": high}}
    )
    assert "spec.hospitals[0].sweep.space[0].logUniform.max" in faults(
        {"logUniform": {"min": max(low, 1e-12), "max": high * 2}}
    )


def test_a_number_that_a_search_cannot_use_is_told_with_the_bounds() -> None:
    (fault,) = validate_job(
        changed(
            "spec.hospitals[0].sweep", {"space": [{"parameter": "learningRate", "numbers": [0.0001, -1]}]}
        )
    ).faults
    assert fault.message == "-1 is no learningRate: it must lie from 1e-09 to 10"


def test_the_first_temperature_of_clip_is_one_that_it_can_have() -> None:
    where = "spec.pretraining[1].objective"
    assert paths(changed(where, {"clip": {"temperature": 0.005}})) == [f"{where}.clip.temperature"]


def test_an_unknown_field_is_answered_with_the_nearest_known_one() -> None:
    (fault,) = validate_job(changed("spec.hospitals[0].strategys", [])).faults
    assert (fault.path, fault.message) == (
        "spec.hospitals[0].strategys",
        "unknown field; did you mean 'strategies'?",
    )


def test_a_list_with_a_faulty_entry_is_not_also_called_too_short() -> None:
    assert paths(changed("spec.hospitals[0].strategies[0].transfer", "Linear")) == [
        "spec.hospitals[0].strategies[0].transfer"
    ]


@pytest.mark.parametrize("number", ["1e-4", "1.0e-4", "0.0001", "1E-4"])
def test_numbers_are_read_as_kubectl_reads_them(number: str) -> None:
    text = yaml.safe_dump(changed("spec.pretraining[0].optimization.learningRate", "RATE")).replace(
        "RATE", number
    )
    result = load_job(text)
    assert result.job is not None, result.faults
    assert result.job.spec.pretraining[0].optimization.learning_rate == 1e-4


def test_a_null_counts_as_absent_as_it_does_for_the_api_server() -> None:
    assert validate_job(changed("spec.encoders.image.size", None)).faults == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold one YAML object"),
        ("- a\n- b\n", "must hold one YAML object"),
        ("a: 1\n---\nb: 2\n", "2 documents"),
        ("a: [1\n", "line 2"),
        ("a: 1\na: 2\n", "stands twice"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("a: .nan\n", "JSON"),
        ("#" * (MAX_MANIFEST_BYTES + 1), "longer than"),
        ("a: !!python/object:os.system x\n", "not YAML"),
    ],
)
def test_rubbish_is_one_clear_fault(text: str, message: str) -> None:
    (fault,) = load_job(text).faults
    assert message in fault.message


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("[Y]", "YAML reads yes, y, on or true without quotes as the boolean true: write the word in quotes"),
        (
            "[No]",
            "YAML reads no, n, off or false without quotes as the boolean false: write the word in quotes",
        ),
        ("[1]", 'without quotes it is a number: write "1"'),
    ],
)
def test_a_word_that_yaml_reads_as_a_boolean_or_number_is_told_to_be_quoted(written: str, words: str) -> None:
    text = f"spec: {{datasets: [{{tasks: [{{positive: {{values: {written}}}}}]}}]}}"
    found = {fault.path: fault.message for fault in load_job(text).faults}
    assert words in found["spec.datasets[0].tasks[0].positive.values[0]"]
