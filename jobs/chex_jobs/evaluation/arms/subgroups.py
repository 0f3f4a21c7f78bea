"""One arm by sex, view, age or device, with small cells hidden (``disclosure``).

Of two tasks that are known for about the same patients, one would give away which level the other hides: there a level
is hidden in both or in neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chex_jobs.data.records.ages import is_age_column
from chex_jobs.evaluation.results.schema import Estimate, SubgroupCell
from chex_jobs.evaluation.statistics.aggregation import UnitMap
from chex_jobs.evaluation.statistics.clustered import influences, mean_influence
from chex_jobs.evaluation.statistics.disclosure import MIN_PATIENTS_OF_CELL, hidden_groups, with_and_without
from chex_jobs.evaluation.statistics.discrimination import (
    BoolArray,
    FloatArray,
    auroc,
    in_compared_folds,
    mean_of_defined,
    why_undefined,
)
from chex_jobs.evaluation.statistics.estimates import auroc_estimate, count_classes, why_insufficient
from chex_jobs.evaluation.statistics.metadata_columns import MISSING, is_number_column, levels_of
from chex_jobs.evaluation.statistics.replication import training_variance

IntArray = NDArray[np.int64]
AGE_BANDS = (18, 40, 65)
TOO_FEW = f"Fewer than {MIN_PATIENTS_OF_CELL} patients."
TOO_FEW_OF_CLASS = f"Fewer than {MIN_PATIENTS_OF_CELL} patients in one of the classes."
SEVERAL = "several"
"""The level of a unit whose films have different ones, as a study of an AP and a lateral film."""
REVEALING = "Hidden, as it would reveal another hidden cell."


@dataclass(frozen=True)
class ScoredTask:
    """One task of the arm that is looked at by subgroup."""

    task: str
    labels: FloatArray
    """[n], 1, 0 or NaN."""
    logits: FloatArray
    """[R, n] of the arm's final fits."""
    folds: IntArray | None = None
    """[n] the fold in which each unit is tested; ``None`` when one model scores all units."""


def unit_values(units: UnitMap, values: Sequence[object]) -> list[object]:
    """[n] of a metadata column from its values of films [F]: what the films have in common, of numbers (an age) the mean.

    Films whose value is missing say nothing; no film decides for the others.
    """
    average, levels = is_number_column(values), levels_of(values).tolist()
    known: list[list[str]] = [[] for _ in units.ordinals]
    for unit, level in zip(units.unit_of_film.tolist(), levels, strict=True):
        if level != MISSING:
            known[unit].append(level)
    return [_in_common(each, average) for each in known]


def _in_common(levels: Sequence[str], average: bool) -> str:
    if len(set(levels)) < 2:
        return levels[0] if levels else ""
    return f"{np.mean([float(level) for level in levels]):.10g}" if average else SEVERAL


def subgroup_levels(column: str, values: Sequence[object]) -> NDArray[np.str_]:
    """The level of each unit: text as it is, ages in bands, other numbers in thirds, blanks as ``missing``."""
    if not is_number_column(values):
        return levels_of(values)
    names = levels_of(values)
    present = names != MISSING
    numbers = names[present].astype(np.float64)
    cuts = (
        AGE_BANDS if is_age_column(column) else tuple(float(q) for q in np.quantile(numbers, (1 / 3, 2 / 3)))
    )
    edges = [f"{cut:g}" for cut in cuts]
    bands = [
        f"<{edges[0]}",
        *(f"{low} to <{high}" for low, high in pairwise(edges)),
        f">={edges[-1]}",
    ]
    result = np.full(len(names), MISSING, dtype=object)
    result[present] = np.array(bands, dtype=object)[np.searchsorted(np.array(cuts), numbers, side="right")]
    return result.astype(str)


def subgroup_cells(
    column: str,
    levels: NDArray[np.str_],
    tasks: Sequence[ScoredTask],
    draws: IntArray,
    patients: IntArray,
    confidence: float,
) -> tuple[SubgroupCell, ...]:
    """The cells of one column, task by task.

    Args:
        column: name of the column.
        levels: [n] of the test units.
        tasks: of the arm.
        draws: [R] of the arm's final fits.
        patients: [n] numbers from 0.
        confidence: of the intervals.
    """
    return tuple(
        cell
        for alike in _known_for_the_same(tasks, patients)
        for cell in _cells(column, levels, alike, draws, patients, confidence)
    )


def _known_for_the_same(tasks: Sequence[ScoredTask], patients: IntArray) -> list[list[ScoredTask]]:
    """The tasks, those together whose labelled patients differ by a small cell only."""
    found: list[list[ScoredTask]] = []
    for task in tasks:
        near = [each for each in found if any(_is_near(task, other, patients) for other in each)]
        found = [each for each in found if each not in near]
        found.append([*(other for each in near for other in each), task])
    return found


def _is_near(one: ScoredTask, other: ScoredTask, patients: IntArray) -> bool:
    differing = np.setxor1d(patients[~np.isnan(one.labels)], patients[~np.isnan(other.labels)])
    return len(differing) < MIN_PATIENTS_OF_CELL


def _cells(
    column: str,
    levels: NDArray[np.str_],
    tasks: Sequence[ScoredTask],
    draws: IntArray,
    patients: IntArray,
    confidence: float,
) -> list[SubgroupCell]:
    known = np.any([~np.isnan(task.labels) for task in tasks], axis=0)
    groups = {str(name): levels == name for name in np.unique(levels[known])}
    hidden = _hidden_levels(groups, tasks, patients)
    cells: list[SubgroupCell] = []
    for task in tasks:
        classless = _hidden_classes(groups, hidden, task, patients)
        for name, members in groups.items():
            if name in hidden:
                cells.append(_suppressed(column, name, task.task, None, hidden[name]))
                continue
            chosen = members & ~np.isnan(task.labels)
            counts = count_classes(np.where(members, task.labels, np.nan), patients)
            if name in classless:
                cells.append(_suppressed(column, name, task.task, counts.patients, classless[name]))
                continue
            estimate = _estimate(chosen, task, draws, patients, confidence)
            cells.append(
                SubgroupCell(
                    column, name, task.task, counts.patients, counts.positive_patients, estimate, False
                )
            )
    return cells


def _suppressed(column: str, level: str, task: str, patients: int | None, reason: str) -> SubgroupCell:
    return SubgroupCell(column, level, task, patients, None, Estimate(None, reason=reason), True)


def _hidden_levels(
    groups: Mapping[str, BoolArray], tasks: Sequence[ScoredTask], patients: IntArray
) -> dict[str, str]:
    """Level -> why not even its patients are counted."""
    sets = {
        name: [frozenset(patients[members & ~np.isnan(task.labels)].tolist()) for task in tasks]
        for name, members in groups.items()
    }
    return {name: TOO_FEW if small else REVEALING for name, small in hidden_groups(sets).items()}


def _hidden_classes(
    groups: Mapping[str, BoolArray], hidden: Mapping[str, str], task: ScoredTask, patients: IntArray
) -> dict[str, str]:
    """Level -> why its classes are not told apart in this task; hidden levels take part in the subtraction."""
    sets = {
        name: with_and_without(np.where(members, task.labels, np.nan), patients)
        for name, members in groups.items()
    }
    found = hidden_groups(sets, hidden)
    return {name: TOO_FEW_OF_CLASS if small else REVEALING for name, small in found.items()}


def _estimate(
    chosen: BoolArray,
    task: ScoredTask,
    draws: IntArray,
    patients: IntArray,
    confidence: float,
) -> Estimate:
    folds = None if task.folds is None else task.folds[chosen]
    positive = task.labels[chosen] == 1.0
    if reason := why_undefined(positive, folds):
        return Estimate(None, reason=reason)
    logits, labels, owners = task.logits[:, chosen], task.labels[chosen], patients[chosen]
    compared = in_compared_folds(positive, folds)
    if reason := why_insufficient(count_classes(labels[compared], owners[compared])):
        aurocs = [auroc(row, labels, folds).value for row in logits]
        return Estimate(mean_of_defined(aurocs), reason=reason)
    items = influences(logits, labels, owners, int(patients.max()) + 1, folds)
    training = training_variance([each.value for each in items], list(draws))
    return auroc_estimate(mean_influence(items), training, confidence)
