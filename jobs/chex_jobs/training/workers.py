"""How many workers a run gets. Pure arithmetic."""

from chex_jobs.training.errors import InvalidRun, NotEnoughWorkers


def choose_num_workers(
    count: int, min_available: int | None, machine: int, global_batch_size: int, group_size: int
) -> int:
    """The largest number of workers that gives each of them whole BatchNorm groups of the global batch.

    Args:
        count: workers wanted.
        min_available: fewest workers to go on with; None means `count`.
        machine: workers that there is room for now.
        global_batch_size: films in a step over all workers; it never changes with their number.
        group_size: films that BatchNorm normalises together.

    Raises:
        InvalidRun: when the global batch is not a multiple of the group, so that no number works.
        NotEnoughWorkers: when room or divisibility leaves fewer than `min_available`.
    """
    if global_batch_size % group_size != 0:
        raise InvalidRun(
            f"optimization.globalBatchSize ({global_batch_size}) must be a multiple of batchNorm.groupSize ({group_size}); "
            f"use {max(1, global_batch_size // group_size) * group_size}, or a group size that divides it"
        )
    fewest = count if min_available is None else min_available
    num_groups = global_batch_size // group_size
    most = min(count, machine)
    fitting = [number for number in range(most, max(fewest, 1) - 1, -1) if num_groups % number == 0]
    if not fitting:
        divisors = [number for number in range(1, count + 1) if num_groups % number == 0]
        raise NotEnoughWorkers(
            f"needs from {fewest} to {count} workers and there is room for {machine}; a global batch of {global_batch_size} in "
            f"groups of {group_size} can be shared by {divisors} workers: change workers.count or workers.minAvailable"
        )
    return fitting[0]
