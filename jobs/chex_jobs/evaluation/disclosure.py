"""Which counts of patients may be shown, so that no small cell can be computed from what is.

A *cell* is a group of patients who share something that others may know of them (a value of a column) or that is
nobody's business (a finding). A cell of 1 to 9 patients is hidden, and with it whatever gives it away by subtraction:
where totals are shown, the hidden ones must be at least two, and together no small cell either. The two classes of a
task are one question: where one is small, both are hidden.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.discrimination import FloatArray
from chex_jobs.evaluation.results import ClassCounts

IntArray = NDArray[np.int64]
MIN_PATIENTS_OF_CELL = 10


def is_small(patients: int) -> bool:
    """Whether a group of so many patients may not be shown; a group of nobody may."""
    return 0 < patients < MIN_PATIENTS_OF_CELL


def hides_classes(counts: ClassCounts) -> bool:
    """Whether the numbers of patients with and without a finding are hidden, and rates that follow from them."""
    return is_small(counts.positive_patients) or is_small(counts.negative_patients)


def hidden_groups(
    groups: Mapping[str, Collection[frozenset[int]]], already: Collection[str] = ()
) -> dict[str, bool]:
    """The groups of one partition to hide, and whether each is small itself (or hidden for another's sake).

    Args:
        groups: by name, sets of patients whose sizes are shown or hidden together, at the same place for each
            name: one for each task, or those with and those without a finding. Where a group is hidden, its total
            with the others is still known.
        already: groups that are hidden in any case.

    A group that holds nobody at one place is small too: it says something of all in it.
    """
    sizes = {name: min(len(members) for members in places) for name, places in groups.items()}
    hidden = {
        name: size < MIN_PATIENTS_OF_CELL
        for name, size in sizes.items()
        if size < MIN_PATIENTS_OF_CELL or name in already
    }
    rest = sorted((size, name) for name, size in sizes.items() if name not in hidden)
    for _, name in rest:
        if not hidden or not _gives_away([list(groups[each]) for each in hidden]):
            break
        hidden[name] = False
    return hidden


def _gives_away(hidden: list[list[frozenset[int]]]) -> bool:
    """Whether subtraction of what is shown from the totals leaves a small cell."""
    together = [frozenset[int]().union(*place) for place in zip(*hidden, strict=True)]
    return len(hidden) < 2 or any(len(each) < MIN_PATIENTS_OF_CELL for each in together)


def patients_with(labels: FloatArray, patients: IntArray, value: float) -> frozenset[int]:
    """Patients [n] with any unit [n] of this label."""
    return frozenset(int(patient) for patient in patients[labels == value])
