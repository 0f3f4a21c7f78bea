"""What adaptation sees of a data set: its training and validation films. Test films are not there.

Features, probes, trials and final fits read films and labels through `AdaptationData`, so that no mistake in them
reaches a test film without raising; DAPT is given its training films by it.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from chex_api.dataset import ScoringUnit
from chex_jobs.data.decoding.pixels import Film
from chex_jobs.data.splits.assignment import roles
from chex_jobs.evaluation.test_access.evaluation_data import Films
from chex_jobs.sweep.draws import LabelSet, sample


def labelled_patients(dataset: Films, tasks: tuple[str, ...], fraction: float, seed: int) -> int:
    """How many patients somebody has to label to get an arm once: training and validation, first draw, all folds."""
    folds = range(dataset.num_folds) if dataset.num_folds else (None,)
    views = [AdaptationData(dataset, fold) for fold in folds]
    films = [
        view.drawn(role, tasks, LabelSet(fraction, 0), seed)
        for view in views
        for role in ("train", "validate")
    ]
    return len(np.unique(dataset.patients[np.concatenate(films)]))


class HiddenFilmRead(AssertionError):
    """Adaptation asked for a film that it must not see. A mistake in this package, never of the user."""


class AdaptationData:
    """One fold's view of a data set, in the form that `chex_jobs.data.loading.batch_source` reads.

    Attributes:
        train: ordinals of training films, int64, ascending.
        validate: ordinals of validation films.
        patients, studies: numbers by film, int64 [N].
        unit: what is scored.
    """

    def __init__(self, dataset: Films, fold: int | None) -> None:
        """`fold` is None unless the data set has grouped folds. Raises `SplitError` where the two do not fit."""
        self.train, self.validate, _ = roles(dataset, fold)
        self.patients = dataset.patients.astype(np.int64)
        self.studies = dataset.studies.astype(np.int64)
        self.unit: ScoringUnit = cast(ScoringUnit, dataset.unit)
        self._dataset = dataset
        self._visible = np.zeros(len(dataset), dtype=np.bool_)
        self._visible[self.train] = True
        self._visible[self.validate] = True

    def __len__(self) -> int:
        """Films of the whole data set: ordinals count through all of it."""
        return len(self._dataset)

    def film(self, i: int) -> Film:
        """Film `i`, uint8 [H, W]. Raises `HiddenFilmRead` unless it trains or validates."""
        self._check(i)
        return self._dataset.film(i)

    def labels(self, task: str) -> NDArray[np.float32]:
        """Labels by film, float32 [N]; NaN for films that neither train nor validate, as for unknown labels."""
        return np.where(self._visible, self._dataset.labels(task), np.float32("nan")).astype(np.float32)

    def label_matrix(self, tasks: tuple[str, ...]) -> NDArray[np.float32]:
        """Labels of several tasks, [N, T]."""
        return np.stack([self.labels(task) for task in tasks], axis=1)

    def drawn(self, role: str, tasks: tuple[str, ...], labels: LabelSet, seed: int) -> NDArray[np.int64]:
        """Ordinals of the labelled films of a role, `train` or `validate`, that belong to a draw; ascending."""
        ordinals = self.train if role == "train" else self.validate
        matrix = self.label_matrix(tasks)[ordinals]
        return ordinals[sample(self.patients[ordinals], matrix, labels, seed=seed, role=role)]

    def _check(self, ordinal: int) -> None:
        if not self._visible[ordinal]:
            raise HiddenFilmRead(f"film {ordinal} is neither a training nor a validation film of this fold")
