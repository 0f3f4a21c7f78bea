"""How many films a pretraining needs."""

import pytest

from chex_api.objective import Objective
from chex_api.sizes import size_faults

CLIP = Objective.parse({"clip": {}})


def told(objective: Objective, batch: int, films: int, units: int | None = None) -> list[tuple[str, str]]:
    faults = size_faults("run", objective, batch, films, films if units is None else units)
    return [(fault.path, fault.message) for fault in faults]


def moco(queue: int) -> Objective:
    return Objective.parse({"moCo": {"queueSize": queue}})


@pytest.mark.parametrize(("films", "largest"), [(100, 96), (128, 128), (127, 96), (32, 32)])
def test_a_queue_longer_than_the_films_is_answered_with_the_largest_sound_one(
    films: int, largest: int
) -> None:
    ((path, message),) = told(moco(160), 32, films)
    assert path == "run.objective.moCo.queueSize"
    assert f"the largest sound value is {largest}, a multiple of the global batch 32" in message
    assert told(moco(largest), 32, films) == []


def test_a_batch_larger_than_the_films_is_answered_with_the_largest_one() -> None:
    ((path, message),) = told(CLIP, 64, 63)
    assert path == "run.optimization.globalBatchSize"
    assert "64 is more than the 63" in message
    assert "Lower it to 63 at most" in message
    assert told(CLIP, 64, 64) == []


def test_a_batch_is_filled_with_one_film_of_each_unit() -> None:
    """Two hundred films of fifty patients: an epoch of patients has fifty."""
    assert told(CLIP, 64, 200, units=50)[0][0] == "run.optimization.globalBatchSize"
    assert told(CLIP, 32, 200, units=50) == []


def test_without_any_training_film_no_size_is_offered() -> None:
    ((_, message),) = told(moco(8), 8, 0)
    assert "there is no training film" in message
