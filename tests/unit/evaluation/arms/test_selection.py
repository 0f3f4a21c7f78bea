"""What is chosen, and that test data cannot take part in it."""

from dataclasses import replace

import numpy as np
import pytest

from chex_jobs.evaluation.arms.selection import (
    CouldNotChoose,
    FitStanding,
    Standing,
    choose_deployed,
    choose_reference,
    standings,
)
from chex_jobs.evaluation.results.schema import ArmCost, ArmKey
from tests.unit.evaluation.simulated_hospital import SimulatedArm, hospital

BEST, PLAIN = SimulatedArm("lp-ft", 1.5, 900.0), SimulatedArm("probe", 0.7, 100.0)


def standing(
    name: str, score: float | None, film_passes: float, fraction: float = 1.0, patients: int = 100
) -> Standing:
    return Standing(ArmKey("ssl", name, fraction), ArmCost(film_passes, patients, 1, 1), score, ())


def test_the_reference_is_the_best_on_validation():
    inputs, _ = hospital([BEST, PLAIN])
    found = standings(inputs.validation, {each.arm: each.cost for each in inputs.arms}, "AUROC")
    assert [each.arm for each in found] == [PLAIN.key, BEST.key]  # cheapest first
    assert choose_reference(found) == BEST.key


def test_test_predictions_in_the_place_of_validation_are_refused():
    inputs, _ = hospital([BEST])
    with pytest.raises(TypeError, match="chosen on validation predictions only"):
        standings(inputs.test, {}, "AUROC")  # pyright: ignore[reportArgumentType]


def test_no_choice_changes_when_all_test_labels_and_scores_do():
    inputs, _ = hospital([BEST, PLAIN])
    costs = {each.arm: each.cost for each in inputs.arms}
    before = standings(inputs.validation, costs, "AUROC")
    turned = replace(
        inputs, test=replace(inputs.test, fits=tuple(replace(f, logits=-f.logits) for f in inputs.test.fits))
    )
    assert standings(turned.validation, costs, "AUROC") == before


def test_arms_with_fewer_labels_never_become_the_reference():
    """They are validated on fewer patients, so the best of many of them is too good by chance."""
    found = (standing("lucky", 0.99, 1.0, fraction=0.1), standing("honest", 0.80, 2.0))
    assert choose_reference(found).strategy == "honest"


def test_equals_are_settled_by_labelled_patients_then_film_passes():
    found = (
        standing("a", 0.8, 2.0, patients=100),
        standing("b", 0.8, 1.0, patients=200),
        standing("c", 0.8, 1.5, patients=100),
    )
    assert choose_reference(found).strategy == "c"


def test_without_any_score_nothing_is_chosen():
    with pytest.raises(CouldNotChoose):
        choose_reference((standing("a", None, 2.0), standing("b", None, 1.0)))


def test_all_seeds_of_the_first_draw_are_deployed_or_the_best_of_them():
    fits = tuple(
        FitStanding(draw, seed, score, ())
        for draw, seed, score in [(0, 0, 0.7), (0, 1, 0.8), (0, 2, 0.8), (1, 0, 0.9)]
    )
    several = replace(standing("a", 0.8, 1.0), fits=fits)
    assert choose_deployed(several, "Ensemble") == ((0, 0), (0, 1), (0, 2))
    assert choose_deployed(several, "BestFit") == ((0, 1),)
    unscored = replace(standing("a", None, 1.0), fits=(FitStanding(0, 3, None, ()),))
    assert choose_deployed(unscored, "BestFit") == choose_deployed(unscored, "Ensemble") == ((0, 3),)


def test_average_precision_can_be_what_selection_compares():
    inputs, _ = hospital([BEST, PLAIN])
    costs = {each.arm: each.cost for each in inputs.arms}
    by_auroc, by_auprc = (standings(inputs.validation, costs, metric) for metric in ("AUROC", "AUPRC"))
    assert by_auroc[0].score != by_auprc[0].score
    assert by_auroc[0].fits[0].aurocs == by_auprc[0].fits[0].aurocs
    assert np.mean([v for v in by_auroc[0].fits[0].aurocs if v is not None]) == pytest.approx(
        by_auroc[0].fits[0].score
    )
