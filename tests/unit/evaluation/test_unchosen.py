"""A hospital for which validation could not choose: no model, no test film read, and the reason."""

from dataclasses import replace

from chex_jobs.evaluation.adaptation_output import read_adaptation
from chex_jobs.evaluation.results.schema import RecommendationVerdict
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData
from chex_jobs.evaluation.unchosen import unchosen, validation_can_choose
from tests.unit.evaluation.test_access.test_ledger import MemoryStorage
from tests.unit.evaluation.test_hospital_evaluation import Hospital, arms_json, evaluation, run

REASON = "icu: no validation study is positive, so there is nothing to choose by."


def test_without_any_learnable_task_there_is_no_model_and_no_test_film_is_read() -> None:
    home, storage = Hospital(), MemoryStorage()
    document = arms_json([None], {}) | {"tasks": [], "unlearnable": {"icu": REASON}}
    output = read_adaptation(document, lambda _: (_ for _ in ()).throw(AssertionError))
    asked = replace(
        evaluation(home),
        arms=output.arms,
        models=output.models,
        unlearnable=output.unlearnable,
        home=replace(evaluation(home).home, data=EvaluationData(home, ())),
    )
    assert not validation_can_choose(asked)
    results = unchosen(asked, storage)
    assert results.recommendation.verdict is RecommendationVerdict.VALIDATION_COULD_NOT_CHOOSE
    assert results.recommendation.deploy is None
    assert results.recommendation.deployed == ()
    assert results.recommendation.sentence == f"No model: validation could not choose. {REASON}"
    assert results.flow.steps
    assert home.read == []
    assert storage.objects == {}


def test_a_sample_of_the_labels_without_one_class_chooses_nothing() -> None:
    home = Hospital()
    home._labels[home.split == "validate"] = 0.0
    assert not validation_can_choose(evaluation(home))


def test_both_classes_in_validation_can_choose() -> None:
    assert validation_can_choose(evaluation(Hospital()))


def test_a_task_that_was_left_out_stays_in_the_results() -> None:
    asked = replace(evaluation(Hospital()), unlearnable={"ph": "ph: no training study is positive."})
    assert run(asked).results.unlearnable == {"ph": "ph: no training study is positive."}
