"""Which counts of patients may be shown, so that no small cell can be computed from what is.

A *cell* is a group of patients who share something that others may know of them (a value of a column) or that is
nobody's business (a finding). A cell of 1 to 9 patients is hidden, and with it whatever gives it away by subtraction:
where totals are shown, the hidden ones must be at least two, and together no small cell either. The two classes of a
task are one question: where one is small, both are hidden. Patients with units of both classes are a cell too, so those
*with* a finding (in any unit) and those *without* (in none) part a set, and nothing else is told of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from chex_jobs.evaluation.results.schema import ClassCounts
from chex_jobs.evaluation.statistics.discrimination import FloatArray

IntArray = NDArray[np.int64]
MIN_PATIENTS_OF_CELL = 10


def is_small(patients: int) -> bool:
    """Whether a group of so many patients may not be shown; a group of nobody may."""
    return 0 < patients < MIN_PATIENTS_OF_CELL


def without_finding(counts: ClassCounts) -> int:
    """Labelled patients of whom no unit is positive."""
    return counts.patients - counts.positive_patients


def hides_classes(counts: ClassCounts) -> bool:
    """Whether the numbers of patients with and without a finding are hidden."""
    return hides_measures(counts) or is_small(without_finding(counts))


def hides_measures(counts: ClassCounts) -> bool:
    """Whether what is measured on a set would tell how few patients of a class it has: shares and AUROCs are fractions."""
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

    A group that holds nobody at one place is small too: it says something of all in it. One that holds all but a few is
    hidden as well, since its total less these is what it would show.
    """
    sizes = {name: min(len(members) for members in places) for name, places in groups.items()}
    hidden = {
        name: size < MIN_PATIENTS_OF_CELL
        for name, size in sizes.items()
        if size < MIN_PATIENTS_OF_CELL or name in already or _leaves_few(name, groups)
    }
    rest = sorted((size, name) for name, size in sizes.items() if name not in hidden)
    for _, name in rest:
        if not hidden or not _gives_away([list(groups[each]) for each in hidden]):
            break
        hidden[name] = False
    return hidden


def _leaves_few(name: str, groups: Mapping[str, Collection[frozenset[int]]]) -> bool:
    """Whether the patients that are in other groups alone are few: patients with films of several levels are in each of these."""
    everybody = [frozenset[int]().union(*place) for place in zip(*groups.values(), strict=True)]
    return any(is_small(len(all_ - own)) for all_, own in zip(everybody, groups[name], strict=True))


def _gives_away(hidden: list[list[frozenset[int]]]) -> bool:
    """Whether subtraction of what is shown from the totals leaves a small cell."""
    together = [frozenset[int]().union(*place) for place in zip(*hidden, strict=True)]
    return len(hidden) < 2 or any(len(each) < MIN_PATIENTS_OF_CELL for each in together)


def with_and_without(labels: FloatArray, patients: IntArray) -> list[frozenset[int]]:
    """Of the labelled units [n] of patients [n]: patients with any positive unit, and the others."""
    positive = frozenset(patients[labels == 1.0].tolist())
    return [positive, frozenset(patients[~np.isnan(labels)].tolist()) - positive]
