"""Which tasks can be learned and chosen by: what is fitted to one class, or chosen without one, is noise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chex_jobs.adaptation.visible_data import AdaptationData
from chex_jobs.evaluation.statistics.aggregation import map_units, unit_labels
from chex_jobs.evaluation.test_access.evaluation_data import Films

_ROLES = (("training", "learn from"), ("validation", "choose by"))
_WORDS = {"Image": "film", "Study": "study", "Patient": "patient"}


def unlearnable_tasks(dataset: Films, tasks: Sequence[str]) -> dict[str, str]:
    """The tasks that lack a class among the units that train or validate, in any fold, each with the reason."""
    folds: Sequence[int | None] = range(dataset.num_folds) if dataset.num_folds else (None,)
    views = [(fold, AdaptationData(dataset, fold)) for fold in folds]
    reasons = {task: _reason(task, views) for task in tasks}
    return {task: reason for task, reason in reasons.items() if reason}


def _reason(task: str, views: Sequence[tuple[int | None, AdaptationData]]) -> str:
    """The first lack, in words; empty where there is none."""
    for fold, view in views:
        for (role, purpose), films in zip(_ROLES, (view.train, view.validate), strict=True):
            lacking = _lacking(view, films, task)
            if lacking:
                of_fold = "" if fold is None else f" of fold {fold}"
                unit = _WORDS[view.unit]
                return f"{task}: no {role} {unit}{of_fold} is {lacking}, so there is nothing to {purpose}."
    return ""


def _lacking(view: AdaptationData, films: NDArray[np.int64], task: str) -> str:
    units = map_units(view.unit, films, view.studies[films], view.patients[films])
    labels = unit_labels(units, view.label_matrix((task,))[films].astype(np.float64))
    missing = [word for word, value in (("positive", 1.0), ("negative", 0.0)) if not (labels == value).any()]
    return " or ".join(missing)
