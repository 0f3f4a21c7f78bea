"""How configurations are proposed: at random, or by a tree-structured Parzen estimator.

A search is asked for whole batches of `BATCH` configurations and told their scores in the order in which it proposed
them, whatever order they finished in and however many ran at once. So its proposals depend on its seed and on scores
alone, and a sweep that was killed proposes the same again.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from chex_api.sweep import Search as SearchSpec
from chex_jobs.sweep.space import Configuration, Space

BATCH = 4
"""Configurations in a batch: large enough to keep some actors busy, small enough for the estimator to learn."""


class Search(Protocol):
    """A source of configurations."""

    def ask(self) -> list[Configuration]:
        """The next `BATCH` configurations. Call `tell` before asking again."""
        ...

    def tell(self, scores: Sequence[float]) -> None:
        """The scores of the configurations last asked for, in their order; higher is better, NaN is unknown.

        May be fewer than `BATCH` when a sweep ends within a batch.
        """
        ...


def build_search(spec: SearchSpec, space: Space, seed: int) -> Search:
    """The search that the manifest names."""
    if spec.tpe is not None:
        return TpeSearch(space, seed, spec.tpe.startup_trials)
    return RandomSearch(space, seed)


class RandomSearch:
    """Independent draws; scores are not used."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._generator = np.random.default_rng(seed)

    def ask(self) -> list[Configuration]:
        """See `Search.ask`."""
        return [self._space.draw(self._generator) for _ in range(BATCH)]

    def tell(self, scores: Sequence[float]) -> None:
        """See `Search.tell`."""


class TpeSearch:
    """Tree-structured Parzen estimator (Bergstra et al., 2011), as in optuna.

    Within a batch, running trials count as bad ones ("constant liar"), so
    that the configurations of a batch differ.
    """

    def __init__(self, space: Space, seed: int, startup_trials: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        with warnings.catch_warnings():
            # `multivariate` and `constant_liar` are marked experimental; the version is pinned and proposals are tested.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=startup_trials, multivariate=True, constant_liar=True, seed=seed
            )
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: list[optuna.trial.Trial] = []

    def ask(self) -> list[Configuration]:
        """See `Search.ask`."""
        assert not self._asked, "the scores of the last batch were not told"
        batch: list[Configuration] = []
        for _ in range(BATCH):
            trial = self._study.ask()
            batch.append(tuple((name, float(d.suggest(trial, name))) for name, d in self._space.domains))
            self._asked.append(trial)
        return batch

    def tell(self, scores: Sequence[float]) -> None:
        """See `Search.tell`."""
        from optuna.trial import TrialState

        for trial, score in zip(self._asked, scores, strict=False):
            if math.isnan(score):
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, score)
        self._asked = []
