"""What an untrained model reaches on a contrastive objective: without it a loss cannot be read."""

from dataclasses import dataclass
from math import log

from chex_api.pretraining import PretrainingRun


@dataclass(frozen=True)
class Chance:
    """Guessing among so many candidates, one of which is right."""

    candidates: int

    @property
    def loss(self) -> float:
        """Cross-entropy of equal scores."""
        return log(self.candidates)

    @property
    def top1(self) -> float:
        """Share of guesses that are right."""
        return 1.0 / self.candidates


def chance_of(run: PretrainingRun) -> Chance | None:
    """Of a contrastive objective; None for another, whose loss has no such scale."""
    candidates = run.objective.settings.candidates(run.optimization.global_batch_size)
    return None if candidates is None else Chance(candidates)
