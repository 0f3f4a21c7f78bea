"""What a sweep may try: each parameter with the numbers it may take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chex_api.rules import SEARCH_BOUNDS
from chex_api.sweep import SpaceEntry

Configuration = tuple[tuple[str, float], ...]
"""Parameters and their values, sorted by parameter: a value that hashes, compares and goes into identities."""


class Suggester(Protocol):
    """What a domain needs of optuna's trial, so that only `search` knows optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_categorical(self, name: str, choices: Sequence[float]) -> float: ...


EDGE = 0.1
"""Share of a range's width, on its scale, that counts as its edge."""


@dataclass(frozen=True)
class Edge:
    """A value that was chosen at an end of what was tried."""

    parameter: str
    value: float
    upper: bool
    """At the largest value that was tried; else at the smallest."""
    bound: float
    """That value."""

    def __str__(self) -> str:
        end = "largest" if self.upper else "smallest"
        at = "is" if self.value == self.bound else "is close to"
        return (
            f"the best {self.parameter}, {self.value:.3g}, {at} the {end} that was tried ({self.bound:.3g})"
        )


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

    def edges(self, value: float) -> tuple[float | None, float | None]:
        """The lower and the upper end, where the value is close to it."""
        low, high, at = (
            (math.log(self.low), math.log(self.high), math.log(value))
            if self.log
            else (self.low, self.high, value)
        )
        margin = EDGE * (high - low)
        return (self.low if at <= low + margin else None, self.high if at >= high - margin else None)

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

    def edges(self, value: float) -> tuple[float | None, float | None]:
        """The smallest and the largest number, where the value is it; of a single number there is no edge."""
        low, high = min(self.numbers), max(self.numbers)
        return (low if value == low < high else None, high if value == high > low else None)

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

    def at_edge(self, configuration: Configuration) -> tuple[Edge, ...]:
        """The values of a configuration at an end of their range, unless the field itself ends there."""
        chosen = dict(configuration)
        return tuple(
            edge
            for name, domain in self.domains
            for edge in _edges(name, chosen[name], domain, SEARCH_BOUNDS[name])
        )


def edge_of_numbers(
    parameter: str, value: float, numbers: Sequence[float], bounds: tuple[float, float]
) -> tuple[Edge, ...]:
    """Whether a number is the first or last of those that were tried, at least three of them."""
    return _edges(parameter, value, Choice(tuple(numbers)), bounds) if len(numbers) > 2 else ()


def _edges(name: str, value: float, domain: Range | Choice, bounds: tuple[float, float]) -> tuple[Edge, ...]:
    """A field's own bound is no edge: nothing lies beyond it."""
    low, high = domain.edges(value)
    found = [(low, False, bounds[0]), (high, True, bounds[1])]
    return tuple(
        Edge(name, value, upper, end) for end, upper, bound in found if end is not None and end != bound
    )


def _domain(entry: SpaceEntry) -> Range | Choice:
    if entry.log_uniform is not None:
        return Range(entry.log_uniform.min, entry.log_uniform.max, log=True)
    if entry.uniform is not None:
        return Range(entry.uniform.min, entry.uniform.max, log=False)
    assert entry.numbers is not None, "chex_api validated that one of the three is given"
    return Choice(entry.numbers)
