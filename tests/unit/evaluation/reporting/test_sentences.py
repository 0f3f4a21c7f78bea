"""Sentences: every verdict has one, and none speaks for tasks that are not in the number."""

import pytest

from chex_jobs.evaluation.arms.recommendation import Advice
from chex_jobs.evaluation.reporting.sentences import Measured, could_not_choose, sentence
from chex_jobs.evaluation.results.schema import ArmKey, ArmVerdict, Comparison, RecommendationVerdict

CHEAP, CHOSEN, DEAR = (ArmKey("ssl", name, 1.0) for name in ("probe", "lp-ft", "dapt-lp-ft"))
BOTH = Measured(("icu", "ph"), ("icu", "ph"))
COMPARED = [
    each for each in RecommendationVerdict if each is not RecommendationVerdict.VALIDATION_COULD_NOT_CHOOSE
]


def said(
    verdict: RecommendationVerdict,
    *,
    enough: ArmKey | None = None,
    better: ArmKey | None = None,
    above_chance: bool = True,
    measured: Measured = BOTH,
) -> str:
    comparisons = (
        Comparison(CHEAP, 0.001, 0.01, -0.01, 0.013, ArmVerdict.WITHIN_MARGIN),
        Comparison(CHOSEN, 0.0, 0.0, 0.0, 0.0, ArmVerdict.REFERENCE),
        Comparison(DEAR, -0.05, 0.01, -0.07, -0.03, ArmVerdict.BETTER),
    )
    return sentence(
        Advice(CHOSEN, enough, above_chance, verdict, 2.0, comparisons, better), measured, 0.02, 0.95
    )


@pytest.mark.parametrize("verdict", COMPARED)
def test_every_verdict_names_the_arm_that_validation_chose(verdict: RecommendationVerdict) -> None:
    assert CHOSEN.label in said(verdict)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (Measured(("icu",), ("icu",)), "test AUROC"),
        (Measured(("icu",), ("icu", "ph", "effusion")), "test AUROC (icu alone, of 3 tasks)"),
        (Measured(("icu", "ph"), ("icu", "ph")), "mean test AUROC (over icu and ph)"),
        (Measured(("a", "b", "c"), ("a", "b", "c", "d")), "mean test AUROC (over a, b and c, of 4 tasks)"),
    ],
    ids=["one task", "one of three", "both", "three of four"],
)
def test_a_number_names_its_tasks_where_it_does_not_speak_for_all(measured: Measured, words: str) -> None:
    assert measured.auroc == words
    assert words in said(RecommendationVerdict.NOT_DISTINGUISHABLE, measured=measured)


def test_what_is_enough_comes_with_its_bound() -> None:
    told = said(RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN, enough=CHEAP)
    assert "Enough next time: ssl/probe@1" in told
    assert "at most 0.013 below" in told


def test_a_dearer_arm_that_is_better_comes_with_its_bound_and_is_not_deployed() -> None:
    told = said(RecommendationVerdict.DEARER_ARM_BETTER, better=DEAR)
    assert told.startswith("Deploy ssl/lp-ft@1")
    assert "ssl/dapt-lp-ft@1" in told
    assert "at least 0.030" in told


def test_what_is_said_to_be_better_is_what_the_advice_names_and_not_any_better_arm() -> None:
    told = said(RecommendationVerdict.DEARER_ARM_BETTER, better=DEAR, enough=CHEAP)
    assert "is shown to be better: ssl/dapt-lp-ft@1" in told
    assert "better: " not in said(RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN, enough=CHEAP)


def test_an_arm_that_is_not_shown_to_beat_chance_is_said_to_be_so() -> None:
    assert "not shown to be better than chance" in said(
        RecommendationVerdict.NOT_DISTINGUISHABLE, above_chance=False
    )
    assert "chance" not in said(RecommendationVerdict.NOT_DISTINGUISHABLE)


def test_nothing_is_called_best_where_validation_could_not_choose() -> None:
    told = could_not_choose(["icu: no validation film is positive."])
    assert told == "No model: validation could not choose. icu: no validation film is positive."
