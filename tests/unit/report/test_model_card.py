"""The model card."""

import dataclasses

from chex_jobs.evaluation.results.schema import Results
from chex_jobs.report import numbers
from chex_jobs.report.model_card import render_model_card


def test_the_card_gives_use_numbers_weights_and_what_is_not_known(results: Results) -> None:
    north = results.hospitals[0]
    card = render_model_card(results, north)
    arm = next(each for each in north.arms if each.arm == north.recommendation.deploy)
    assert card.startswith(f"# north: {arm.arm.label}\n")
    assert "Research use only" in card
    assert "What is not known here" in card
    for task in arm.tasks:
        assert f"| {task.task} |" in card
        assert f"| {numbers.estimate(task.auroc)} | {numbers.estimate(task.auprc)} |" in card
    for deployed in north.recommendation.deployed:
        assert deployed.object_identity in card
    for name, value in arm.hyperparameters.items():
        assert f"{name} = {value:g}" in card


def test_the_card_of_a_fold_ensemble_says_that_no_patient_is_untouched(results: Results) -> None:
    north, south = results.hospitals
    assert south.num_folds == 5
    assert "mean of 5 models" in render_model_card(results, south)
    assert "mean of" not in render_model_card(results, dataclasses.replace(north, num_folds=0))


def test_insufficient_data_are_named_and_have_no_interval(results: Results) -> None:
    south = results.hospitals[1]
    card = render_model_card(results, south)
    assert f"- {south.tasks[0].task}: {south.tasks[0].reason}" in card
    shown = card.split("## How good")[1].split("## How it was made")[0]
    assert "–0." not in shown


def test_generated_films_are_named_only_where_they_are(results: Results) -> None:
    real = dataclasses.replace(results, generated_data=False)
    assert "no number below is accuracy" in render_model_card(results, results.hospitals[0])
    assert "no number below is accuracy" not in render_model_card(real, real.hospitals[0])


def test_values_cannot_become_tags_or_table_cells(results: Results) -> None:
    north = dataclasses.replace(results.hospitals[0], warnings=("<script>a|b\nc",))
    card = render_model_card(results, north)
    assert "<script>" not in card
    assert "- &lt;script>a\\|b c\n" in card
