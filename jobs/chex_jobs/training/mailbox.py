"""What a driver and its workers tell each other while `TorchTrainer.fit` runs.

`ray.train.report` is a barrier over all workers that reaches the driver only with a checkpoint. This is one small actor:
worker 0 puts its latest progress there without waiting, and each answer carries the driver's wish to stop back.
"""

from typing import TYPE_CHECKING, Any

from chex_jobs.training.progress import Progress

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle


class Mailbox:
    """The actor. Holds the latest progress only: nobody needs those that were overtaken."""

    def __init__(self) -> None:
        self._latest: Progress | None = None
        self._stop = False

    def put(self, progress: Progress) -> bool:
        """Leave a report; returns whether the run is to stop."""
        self._latest = progress
        return self._stop

    def asked_to_stop(self) -> bool:
        """Whether the run is to stop."""
        return self._stop

    def take(self, stop: bool) -> Progress | None:
        """Fetch the report that was left since the last call, and tell whether the run is to stop."""
        self._stop = self._stop or stop
        latest, self._latest = self._latest, None
        return latest


class WorkerMail:
    """A worker's side; never blocks a step. Worker 0 alone reports."""

    def __init__(self, mailbox: "ActorHandle[Any]") -> None:
        self._mailbox = mailbox
        # A wish from before the first report: nothing is trained while the answer to that one is on its way.
        self._answer: ObjectRef[bool] | None = mailbox.asked_to_stop.remote()
        self._stop = False

    def put(self, progress: Progress) -> None:
        """Send a report, and remember to look for its answer."""
        self._read_answer()
        self._answer = self._mailbox.put.remote(progress)

    def should_stop(self) -> bool:
        """Whether an answer that has arrived by now asks to stop."""
        self._read_answer()
        return self._stop

    def _read_answer(self) -> None:
        """Take the last answer in, if it is there. One that is not may be forgotten for the next, which knows at least as much."""
        import ray

        if self._answer is not None and ray.wait([self._answer], timeout=0)[0]:
            self._stop = self._stop or ray.get(self._answer)
            self._answer = None
