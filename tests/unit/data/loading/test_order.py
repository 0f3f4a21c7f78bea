"""Which films form which batch."""

import numpy as np
import pytest

from chex_jobs.data.loading.order import EpochOrder


def order(num: int = 100, *, batch_size: int = 8, seed: int = 0, per_unit: int = 1) -> EpochOrder:
    return EpochOrder(np.arange(num), np.arange(num) // per_unit, batch_size=batch_size, seed=seed)


def test_an_epoch_shows_every_film_once_but_for_the_last_partial_batch() -> None:
    batches = order(100).batches(0)
    assert batches.shape == (12, 8)
    assert len(np.unique(batches)) == 96


def test_another_epoch_leaves_out_other_films() -> None:
    left_out = [frozenset(range(100)) - set(order(100).batches(epoch).ravel().tolist()) for epoch in range(6)]
    assert len(set(left_out)) == 6


@pytest.mark.parametrize(("seed", "epoch"), [(1, 0), (0, 1)], ids=["seed", "epoch"])
def test_order_changes_with(seed: int, epoch: int) -> None:
    assert not np.array_equal(order(seed=seed).batches(epoch), order().batches(0))


def test_order_is_a_function_of_the_set_of_films_not_of_how_it_is_given() -> None:
    films, units = np.arange(60) * 3, np.arange(60) // 2
    shuffled = np.random.default_rng(0).permutation(60)
    one = EpochOrder(films, units, batch_size=4, seed=5)
    other = EpochOrder(films[shuffled], units[shuffled], batch_size=4, seed=5)
    assert np.array_equal(one.batches(3), other.batches(3))


def test_one_film_of_each_unit_takes_part_and_each_has_its_turn() -> None:
    epochs = [order(60, batch_size=5, per_unit=3).batches(epoch).ravel() for epoch in range(40)]
    assert all(sorted((films // 3).tolist()) == list(range(20)) for films in epochs)
    assert len(np.unique(np.concatenate(epochs))) == 60


def test_a_set_smaller_than_a_batch_is_repeated() -> None:
    batches = order(3, batch_size=8).batches(0)
    assert batches.shape == (1, 8)
    assert set(batches[0, :3]) == {0, 1, 2}
    assert np.array_equal(batches[0, 3:6], batches[0, :3])


def test_no_film_is_an_error_that_says_why() -> None:
    with pytest.raises(ValueError, match="the selected split, views and reports leave none"):
        order(0)
