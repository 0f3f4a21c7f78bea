"""What a sweep may try: each parameter with the numbers it may take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chex_api.sweep import SpaceEntry

Configuration = tuple[tuple[str, float], ...]
"""Parameters and their values, sorted by parameter: a value that hashes, compares and goes into identities."""


class Suggester(Protocol):
    """What a domain needs of optuna's trial, so that only `search` knows optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_categorical(self, name: str, choices: Sequence[float]) -> float: ...


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, evenly on a linear or a logarithmic scale."""

    low: float
    high: float
    log: bool

    def draw(self, generator: np.random.Generator) -> float:
        """One number."""
        if not self.log:
            return float(generator.uniform(self.low, self.high))
        # exp(log(high)) may exceed `high` by a rounding error, which the training settings would refuse.
        drawn = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)

    def suggest(self, trial: Suggester, name: str) -> float:
        """One number, of optuna's choosing."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choice:
    """One of these numbers."""

    numbers: tuple[float, ...]

    def draw(self, generator: np.random.Generator) -> float:
        """One of the numbers, all equally likely."""
        return self.numbers[int(generator.integers(len(self.numbers)))]

    def suggest(self, trial: Suggester, name: str) -> float:
        """One of the numbers, of optuna's choosing."""
        return trial.suggest_categorical(name, self.numbers)


@dataclass(frozen=True)
class Space:
    """Parameters and their domains. An empty space has one configuration: the strategy's own settings."""

    domains: tuple[tuple[str, Range | Choice], ...]

    @classmethod
    def of(cls, entries: Sequence[SpaceEntry]) -> "Space":
        """From `hospitals[].sweep.space`. Sorted by parameter, so that the order in a manifest changes no draw."""
        return cls(tuple((e.parameter, _domain(e)) for e in sorted(entries, key=lambda e: e.parameter)))

    def draw(self, generator: np.random.Generator) -> Configuration:
        """One configuration, each parameter by itself."""
        return tuple((name, domain.draw(generator)) for name, domain in self.domains)


def _domain(entry: SpaceEntry) -> Range | Choice:
    if entry.log_uniform is not None:
        return Range(entry.log_uniform.min, entry.log_uniform.max, log=True)
    if entry.uniform is not None:
        return Range(entry.uniform.min, entry.uniform.max, log=False)
    assert entry.numbers is not None, "chex_api validated that one of the three is given"
    return Choice(entry.numbers)
