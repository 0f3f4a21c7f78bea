"""Chance on a contrastive objective."""

from math import log

import pytest

from chex_api.pretraining import PretrainingRun
from chex_jobs.objectives.chance import chance_of


def run(objective: dict[str, object]) -> PretrainingRun:
    plain = {
        "name": "r",
        "dataset": "d",
        "objective": objective,
        "optimization": {"globalBatchSize": 64, "epochs": 1},
    }
    return PretrainingRun.parse(plain)


@pytest.mark.parametrize(
    ("objective", "candidates"),
    [({"moCo": {"queueSize": 1024}}, 1025), ({"clip": {}}, 64)],
    ids=["MoCo", "CLIP"],
)
def test_chance_is_a_guess_among_the_candidates(objective: dict[str, object], candidates: int) -> None:
    chance = chance_of(run(objective))
    assert chance is not None
    assert chance.loss == pytest.approx(log(candidates))
    assert chance.top1 == pytest.approx(1 / candidates)


def test_an_objective_that_compares_nothing_has_no_chance() -> None:
    assert chance_of(run({"supervised": {}})) is None
