"""How many workers a run gets."""

import pytest

from chex_jobs.training.errors import InvalidRun, NotEnoughWorkers
from chex_jobs.training.workers import choose_num_workers


@pytest.mark.parametrize(
    ("count", "min_available", "machine", "global_batch_size", "group_size", "expected"),
    [
        pytest.param(8, 4, 8, 1024, 32, 8, id="all_wanted_fit"),
        pytest.param(8, 4, 7, 1024, 32, 4, id="seven_do_not_divide_so_four"),
        pytest.param(8, 1, 64, 96, 32, 3, id="three_groups_feed_three"),
        pytest.param(8, 1, 2, 1024, 32, 2, id="a_laptop_caps"),
        pytest.param(6, 1, 6, 160, 32, 5, id="five_groups_feed_five_of_six"),
        pytest.param(1, None, 1, 32, 32, 1, id="one_group"),
    ],
)
def test_largest_number_that_shares_whole_groups_is_chosen(
    count: int,
    min_available: int | None,
    machine: int,
    global_batch_size: int,
    group_size: int,
    expected: int,
) -> None:
    assert choose_num_workers(count, min_available, machine, global_batch_size, group_size) == expected


def test_fewer_than_min_available_is_refused_with_the_numbers_that_would_do() -> None:
    with pytest.raises(NotEnoughWorkers, match=r"from 5 to 8 workers .* shared by \[1, 2, 4, 8\] workers"):
        choose_num_workers(8, 5, 7, 256, 32)


def test_absent_min_available_means_count() -> None:
    with pytest.raises(NotEnoughWorkers, match="room for 3"):
        choose_num_workers(4, None, 3, 128, 32)


def test_global_batch_that_is_no_multiple_of_the_group_is_refused() -> None:
    with pytest.raises(InvalidRun, match=r"globalBatchSize \(48\).*groupSize \(32\); use 32"):
        choose_num_workers(1, 1, 1, 48, 32)
