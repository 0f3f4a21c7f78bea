"""Counts of an ingest for status, report and people: never an id, a file name or a word of a report."""

import numpy as np
import numpy.typing as npt

from chex_api.summaries import PartCounts
from chex_jobs.data.splits.assignment import TEST, TRAIN, VALIDATE, Assignment


def part_counts(assignment: Assignment, patients: npt.NDArray[np.int32]) -> dict[str, PartCounts]:
    """Return films and patients of each part of the split, or of each fold."""
    parts = np.array(assignment.split, dtype=np.str_)
    if assignment.num_folds:
        members = {f"fold-{fold}": assignment.fold == fold for fold in range(assignment.num_folds)}
    else:
        members = {part: parts == part for part in (TRAIN, VALIDATE, TEST)}
        members |= {"unused": parts == ""} if (parts == "").any() else {}
    return {
        name: PartCounts(films=int(member.sum()), patients=len(np.unique(patients[member])))
        for name, member in members.items()
    }


def label_counts(labels: npt.NDArray[np.float32]) -> dict[str, int]:
    """Return how many labels are 1, 0 and NaN."""
    return {
        "positive": int((labels == 1).sum()),
        "negative": int((labels == 0).sum()),
        "unknown": int(np.isnan(labels).sum()),
    }
