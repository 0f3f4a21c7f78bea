import math

import numpy as np
import pytest

from chex_api.base import Empty
from chex_api.sweep import LogUniform, Search, SpaceEntry, Tpe, Uniform
from chex_jobs.sweep.search import BATCH, build_search
from chex_jobs.sweep.space import Configuration, Space

ENTRIES = (
    SpaceEntry(parameter="weightDecay", numbers=(0.0, 0.01, 0.05)),
    SpaceEntry(parameter="learningRate", log_uniform=LogUniform(min=1e-6, max=1e-3)),
    SpaceEntry(parameter="warmupFraction", uniform=Uniform(min=0.0, max=0.5)),
)
SPACE = Space.of(ENTRIES)
RANDOM = Search(random=Empty())
TPE = Search(tpe=Tpe(startup_trials=4))


def score(configuration: Configuration) -> float:
    """Best at a learning rate of 1e-4 without decay."""
    values = dict(configuration)
    return -abs(math.log10(values["learningRate"]) + 4) - values["weightDecay"]


def proposals(spec: Search, batches: int, seed: int = 7) -> list[Configuration]:
    search = build_search(spec, SPACE, seed)
    found: list[Configuration] = []
    for _ in range(batches):
        batch = search.ask()
        search.tell([score(configuration) for configuration in batch])
        found += batch
    return found


@pytest.mark.parametrize("spec", [RANDOM, TPE], ids=["random", "tpe"])
def test_same_seed_and_scores_give_the_same_proposals(spec: Search) -> None:
    assert proposals(spec, 5) == proposals(spec, 5)
    assert proposals(spec, 1, seed=7) != proposals(spec, 1, seed=8)


@pytest.mark.parametrize("spec", [RANDOM, TPE], ids=["random", "tpe"])
def test_a_longer_search_begins_with_the_shorter_one(spec: Search) -> None:
    assert proposals(spec, 6)[: 3 * BATCH] == proposals(spec, 3)


@pytest.mark.parametrize("spec", [RANDOM, TPE], ids=["random", "tpe"])
def test_proposals_stay_within_the_space(spec: Search) -> None:
    for configuration in proposals(spec, 6):
        values = dict(configuration)
        assert list(values) == ["learningRate", "warmupFraction", "weightDecay"]
        assert 1e-6 <= values["learningRate"] <= 1e-3
        assert 0.0 <= values["warmupFraction"] <= 0.5
        assert values["weightDecay"] in (0.0, 0.01, 0.05)


def test_tpe_comes_closer_than_random_search() -> None:
    tpe_mean = np.mean([np.mean([score(c) for c in proposals(TPE, 6, seed)[-12:]]) for seed in range(10)])
    random_mean = np.mean(
        [np.mean([score(c) for c in proposals(RANDOM, 6, seed)[-12:]]) for seed in range(10)]
    )
    assert tpe_mean > random_mean + 0.2


def test_tpe_goes_on_when_a_score_is_unknown() -> None:
    search = build_search(TPE, SPACE, 0)
    for _ in range(3):
        search.ask()
        search.tell([math.nan, 0.5, math.nan, 0.7])
    assert len(search.ask()) == BATCH


def test_order_of_parameters_in_the_manifest_changes_no_proposal() -> None:
    assert Space.of(ENTRIES) == Space.of(ENTRIES[::-1])


def test_empty_space_has_the_one_configuration_without_parameters() -> None:
    assert build_search(RANDOM, Space.of(()), 0).ask() == [()] * BATCH
    assert build_search(TPE, Space.of(()), 0).ask() == [()] * BATCH
