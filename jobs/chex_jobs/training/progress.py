"""How a training is getting on: what is reported, and how often."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Progress:
    """One report. Numbers only, so that it can go into logs and status.

    Attributes:
        step: optimizer steps done, of `total_steps`.
        loss: mean over the workers of the latest step that was settled.
        films_per_second: over all workers, since the last report; 0 before there is a rate.
        wait_share: share of that time in which worker 0 waited for data, 0 to 1.
        eta_seconds: what remains at that rate.
        committed: step of the newest stored checkpoint; 0 before there is one.
        metrics: the objective's own numbers, of worker 0's latest step.
    """

    epoch: int
    epochs: int
    step: int
    total_steps: int
    loss: float
    learning_rate: float
    films_per_second: float
    wait_share: float
    eta_seconds: float
    committed: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> str:
        """One JSON line."""
        return json.dumps(asdict(self), separators=(",", ":"))


class ProgressMeter:
    """Turns steps into reports, at most one per `interval_seconds`."""

    def __init__(
        self,
        total_steps: int,
        films_per_step: int,
        first_step: int,
        interval_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total_steps, self._films_per_step = total_steps, films_per_step
        self._interval, self._clock = interval_seconds, clock
        self._since, self._step, self._wait = clock(), first_step, 0.0

    def waited(self, seconds: float) -> None:
        """Count time in which a step had to wait for its batch."""
        self._wait += seconds

    def due(self, step: int) -> bool:
        """Whether a report should be made now: the interval has passed, or the run is at its end."""
        return step > self._step and (
            self._clock() - self._since >= self._interval or step == self._total_steps
        )

    def report(
        self,
        *,
        step: int,
        epoch: int,
        epochs: int,
        loss: float,
        learning_rate: float,
        metrics: Mapping[str, float],
        committed: int = 0,
    ) -> Progress:
        """Make the report of the steps since the last one, and start to count anew."""
        elapsed = max(self._clock() - self._since, 1e-9)
        rate = (step - self._step) / elapsed
        wait_share = min(1.0, self._wait / elapsed)
        self._since, self._step, self._wait = self._clock(), step, 0.0
        return Progress(
            epoch=epoch,
            epochs=epochs,
            step=step,
            total_steps=self._total_steps,
            loss=loss,
            learning_rate=learning_rate,
            films_per_second=rate * self._films_per_step,
            wait_share=wait_share,
            eta_seconds=(self._total_steps - step) / rate,
            committed=committed,
            metrics=dict(metrics),
        )
