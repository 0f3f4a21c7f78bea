"""Synchronous successive halving (Jamieson and Talwalkar, arXiv 1502.07943): trials climb rungs, the better part goes on.

The ladder depends on a trial's epochs and the reduction only, not on how many trials there are, so that raising
`trialsPerArm` keeps every first rung that has been climbed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chex_api.sweep import Scheduler


@dataclass(frozen=True)
class Score:
    """What one trial is worth on validation patients."""

    value: float
    """The sweep's metric, higher is better; NaN where no task has both classes."""
    loss: float
    """Masked cross-entropy, lower is better. Decides between equal values: on a few patients many are equal."""

    def key(self) -> tuple[float, float]:
        """Sorts the best first; unknown numbers come last."""
        value = -math.inf if math.isnan(self.value) else self.value
        loss = math.inf if math.isnan(self.loss) else self.loss
        return (-value, loss)


def ranked(scores: Sequence[Score]) -> list[int]:
    """Positions of `scores`, best first. Equal ones keep their order, which is that of the trials."""
    return sorted(range(len(scores)), key=lambda i: scores[i].key())


def rungs(epochs: int, scheduler: Scheduler) -> tuple[int, ...]:
    """The epochs at which a trial is judged, rising; the last is `epochs`. (1, 3, 9) for nine epochs and reduction 3."""
    halving = scheduler.successive_halving
    if halving is None:
        return (epochs,)
    ends = [epochs]
    # Rounded up: the ladder of 10 epochs is 1, 2, 4, 10.
    while (lower := -(-ends[0] // halving.reduction)) >= halving.min_epochs and lower < ends[0]:
        ends.insert(0, lower)
    return tuple(ends)


def num_survivors(num_trials: int, scheduler: Scheduler) -> int:
    """How many of the trials on a rung go on to the next: one in `reduction`, at least one."""
    assert scheduler.successive_halving is not None, "without halving there is one rung"
    return max(1, num_trials // scheduler.successive_halving.reduction)


def survivors(scores: Sequence[Score], scheduler: Scheduler) -> list[int]:
    """Positions of the trials that go on to the next rung, in the order of the trials."""
    return sorted(ranked(scores)[: num_survivors(len(scores), scheduler)])
