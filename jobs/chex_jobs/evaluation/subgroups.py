"""One arm by sex, view, age or device, with small cells hidden.

A cell with fewer than 10 patients is neither counted nor measured. If exactly one cell of a column is hidden,
its count could be computed from the total, so the smallest of the others is hidden with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.clustered import influences, mean_influence
from chex_jobs.evaluation.discrimination import BoolArray, FloatArray
from chex_jobs.evaluation.estimates import auroc_estimate, count_classes, why_insufficient
from chex_jobs.evaluation.metadata_baseline import MISSING, is_number_column, levels_of
from chex_jobs.evaluation.replication import training_variance
from chex_jobs.evaluation.results import ClassCounts, Estimate, SubgroupCell

IntArray = NDArray[np.int64]
MIN_PATIENTS_OF_CELL = 10
AGE_BANDS = (18, 40, 65)
TOO_FEW = f"Fewer than {MIN_PATIENTS_OF_CELL} patients."
TOO_FEW_OF_CLASS = f"Fewer than {MIN_PATIENTS_OF_CELL} patients in one of the classes."
REVEALING = "Hidden, as it would reveal another hidden cell."


def subgroup_levels(column: str, values: Sequence[object]) -> NDArray[np.str_]:
    """The level of each unit: text as it is, ages in bands, other numbers in thirds, blanks as ``missing``."""
    if not is_number_column(values):
        return levels_of(values)
    names = levels_of(values)
    present = names != MISSING
    numbers = names[present].astype(np.float64)
    cuts = (
        AGE_BANDS
        if "age" in column.lower()
        else tuple(float(q) for q in np.quantile(numbers, (1 / 3, 2 / 3)))
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
    task: str,
    logits: FloatArray,
    draws: IntArray,
    labels: FloatArray,
    patients: IntArray,
    confidence: float,
) -> tuple[SubgroupCell, ...]:
    """The cells of one column and task.

    Args:
        column: name of the column.
        levels: [n] of the test units.
        task: name of the task.
        logits: [R, n] of the arm's final fits.
        draws: [R].
        labels: [n], 1, 0 or NaN.
        patients: [n] numbers from 0.
        confidence: of the intervals.
    """
    names = [str(name) for name in np.unique(levels[~np.isnan(labels)])]
    counts = {name: count_classes(np.where(levels == name, labels, np.nan), patients) for name in names}
    hidden = _hidden(counts)
    cells = []
    for name in names:
        if name in hidden:
            cells.append(
                SubgroupCell(column, name, task, None, None, Estimate(None, reason=hidden[name]), True)
            )
            continue
        chosen = (levels == name) & ~np.isnan(labels)
        estimate = _estimate(counts[name], chosen, logits, draws, labels, patients, confidence)
        few_of_class = estimate.reason == TOO_FEW_OF_CLASS
        positive = None if few_of_class else counts[name].positive_patients
        cells.append(
            SubgroupCell(column, name, task, counts[name].patients, positive, estimate, few_of_class)
        )
    return tuple(cells)


def _hidden(counts: dict[str, ClassCounts]) -> dict[str, str]:
    """Level -> why it is hidden."""
    hidden = {name: TOO_FEW for name, each in counts.items() if each.patients < MIN_PATIENTS_OF_CELL}
    others = sorted((each.patients, name) for name, each in counts.items() if name not in hidden)
    if len(hidden) == 1 and others:
        hidden[others[0][1]] = REVEALING
    return hidden


def _estimate(
    counts: ClassCounts,
    chosen: BoolArray,
    logits: FloatArray,
    draws: IntArray,
    labels: FloatArray,
    patients: IntArray,
    confidence: float,
) -> Estimate:
    if min(counts.positive_patients, counts.negative_patients) < MIN_PATIENTS_OF_CELL:
        return Estimate(None, reason=TOO_FEW_OF_CLASS)
    items = influences(logits[:, chosen], labels[chosen], patients[chosen], int(patients.max()) + 1)
    average = mean_influence(items)
    if reason := why_insufficient(counts):
        return Estimate(average.value, reason=reason)
    return auroc_estimate(average, training_variance([each.value for each in items], list(draws)), confidence)
