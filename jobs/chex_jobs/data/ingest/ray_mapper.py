"""Decoding chunks as Ray tasks, one core each, on whatever cluster this process is connected to."""

from collections.abc import Callable, Generator, Iterable

import ray
from ray.exceptions import RayError, RayTaskError

from chex_jobs.data.errors import TasksFailed
from chex_jobs.data.ingest.chunks import Chunk, ChunkResult

_RETRIES = 5
"""For tasks whose worker or node died. A chunk that was committed before that is taken over, not decoded again."""


class RayMapper:
    """Yields results as tasks end. When the consumer stops early, tasks that run are cancelled.

    Args:
        in_flight: number of tasks submitted and not yet consumed; None: twice the cluster's cores, so that none idles.
    """

    def __init__(self, in_flight: int | None = None) -> None:
        self._in_flight = in_flight

    def __call__(
        self, function: Callable[[Chunk], ChunkResult], items: Iterable[Chunk], /
    ) -> Generator[ChunkResult]:
        """Run `function` on every item; results come in the order in which tasks end.

        Raises:
            TasksFailed: a task died more often than it is retried.
        Exception: what `function` raised, as it was.
        """
        task = ray.remote(num_cpus=1, max_retries=_RETRIES)(function)
        limit = self._in_flight or max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))
        rest = iter(items)
        running: list[ray.ObjectRef] = []
        try:
            while True:
                while len(running) < limit and (item := next(rest, None)) is not None:
                    running.append(task.remote(item))
                if not running:
                    return
                (ended,), running = ray.wait(running, num_returns=1)
                yield _result(ended)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _result(reference: ray.ObjectRef) -> ChunkResult:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise TasksFailed(
            f"a task that decodes films died {_RETRIES + 1} times ({type(error).__name__}): its process was killed, most "
            "often for lack of memory. What was decoded is kept; run again with more memory or fewer cores."
        ) from error
