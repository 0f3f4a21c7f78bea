"""Where a stage runs: which pool, how many workers, with what to go on when machines are short. Pure."""

from dataclasses import dataclass

from chex_api.pretraining import PretrainingRun
from chex_api.runtime import Pool, RuntimeSpec
from chex_api.stage import StageSpec

MOST_INGEST_WORKERS = 4
"""Four nodes decode some hundred films a second; beyond that the storage is what limits."""


@dataclass(frozen=True)
class Placement:
    """Workers of one pool.

    Attributes:
        pool: empty: the head alone.
        choices: numbers of workers, the wanted one first, the smallest that is enough last.
    """

    pool: str = ""
    choices: tuple[int, ...] = (0,)


class NoSuchPool(LookupError):
    """The manifest names a pool that the runtime does not have."""


def placement_of(stage: StageSpec, runtime: RuntimeSpec) -> Placement:
    """Where a stage runs.

    A manifest names pools for pretraining and adaptation. Ingest decodes films, on CPUs where there are some. Evaluation
    predicts with models that the adaptation trained, on one of its workers. The report needs no more than the head.

    Raises:
        NoSuchPool: see there.
    """
    work = stage.work
    if work.pretrain is not None:
        run = work.pretrain.run
        return Placement(pool_named(runtime, run.workers.pool).name, _worker_choices(run))
    if work.adapt is not None:
        workers = work.adapt.hospital.workers
        smallest = workers.min_available or workers.count
        choices = tuple(range(workers.count, smallest - 1, -1))
        return Placement(pool_named(runtime, workers.pool).name, choices)
    if work.evaluate is not None:
        return Placement(pool_named(runtime, work.evaluate.hospital.workers.pool).name, (1,))
    if work.ingest is not None:
        return _for_ingest(runtime)
    return Placement()


def pool_named(runtime: RuntimeSpec, name: str) -> Pool:
    """The pool of that name. Raises `NoSuchPool`."""
    for pool in runtime.pools:
        if pool.name == name:
            return pool
    known = ", ".join(pool.name for pool in runtime.pools)
    raise NoSuchPool(f"the runtime has no pool {name!r}; it has: {known}")


def next_choice(choices: tuple[int, ...], workers: int) -> int:
    """The largest choice below `workers`; the smallest of all where there is none."""
    return next((choice for choice in choices if choice < workers), choices[-1])


def _worker_choices(run: PretrainingRun) -> tuple[int, ...]:
    """Every number down to the smallest one that divides the global batch into whole BatchNorm groups."""
    workers = run.workers
    groups = run.optimization.global_batch_size // run.batch_norm.group_size
    smallest = workers.min_available or workers.count
    fitting = tuple(count for count in range(workers.count, smallest - 1, -1) if groups % count == 0)
    return fitting or (workers.count,)


def _for_ingest(runtime: RuntimeSpec) -> Placement:
    without_gpu = [pool for pool in runtime.pools if not pool.gpus]
    if not without_gpu:
        return Placement()
    wanted = min(MOST_INGEST_WORKERS, without_gpu[0].max_workers)
    return Placement(without_gpu[0].name, tuple(range(wanted, 0, -1)))
