import math

import pytest

from chex_api.base import Empty
from chex_api.sweep import Scheduler, SuccessiveHalving
from chex_jobs.sweep.halving import Score, ranked, rungs, survivors


def halving(reduction: int = 3, min_epochs: int = 1) -> Scheduler:
    return Scheduler(successive_halving=SuccessiveHalving(reduction=reduction, min_epochs=min_epochs))


@pytest.mark.parametrize(
    ("epochs", "scheduler", "ends"),
    [
        (9, halving(), (1, 3, 9)),
        (10, halving(), (1, 2, 4, 10)),
        (3, halving(), (1, 3)),
        (1, halving(), (1,)),
        (9, halving(min_epochs=2), (3, 9)),
        (9, halving(min_epochs=9), (9,)),
        (8, halving(reduction=2), (1, 2, 4, 8)),
        (9, Scheduler(none=Empty()), (9,)),
    ],
)
def test_rungs_rise_to_the_last_epoch(epochs: int, scheduler: Scheduler, ends: tuple[int, ...]) -> None:
    assert rungs(epochs, scheduler) == ends


def test_one_in_three_goes_on_and_at_least_one() -> None:
    scores = [Score(value, 0.5) for value in (0.6, 0.9, 0.7, 0.8, 0.5, 0.4)]
    assert survivors(scores, halving()) == [1, 3]
    assert survivors(scores[:2], halving()) == [1]


def test_equal_scores_are_decided_by_loss_and_then_by_order() -> None:
    assert ranked([Score(0.7, 0.6), Score(0.7, 0.5), Score(0.7, 0.6)]) == [1, 0, 2]


def test_unknown_score_comes_last_whatever_its_loss() -> None:
    assert ranked([Score(math.nan, 0.1), Score(0.1, math.nan), Score(0.1, 9.0)]) == [2, 1, 0]
