"""Films whose pixels equal those of another film."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from chex_jobs.data.decoding.faults import Fault, Reason


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows to set aside.

    Attributes:
        faults: why, by row.
        kept: the row that is kept for each of them, where one is.
    """

    faults: dict[int, Fault] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)


def duplicates(
    rows: npt.NDArray[np.integer], digests: npt.NDArray[np.bytes_], patients: Sequence[str]
) -> Duplicates:
    """Find the rows to set aside.

    Of one patient's equal films the first by key is kept, and what is said of any of them counts (`labels_of_equals`). Equal films of different patients are all set aside: one of
    the ids is wrong or one person has two, nobody can tell which, and each way of keeping one could put the same
    picture on both sides of a split.

    Args:
        rows: of the decoded films, [N], ascending.
        digests: of size and pixels, as bytes, [N].
        patients: patient id by row.
    """
    found = Duplicates()
    for equal in _equal_films(rows, digests):
        if len({patients[row] for row in equal}) > 1:
            detail = f"{len(equal)} films of different patients have the same pixels"
            found.faults.update({row: Fault(Reason.DUPLICATE, detail) for row in equal})
            continue
        detail = "an earlier film of the patient has the same pixels"
        found.faults.update({row: Fault(Reason.DUPLICATE, detail) for row in equal[1:]})
        found.kept.update(dict.fromkeys(equal[1:], equal[0]))
    return found


def labels_of_equals(
    by_row: npt.NDArray[np.float32], rows: npt.NDArray[np.integer], equals: Mapping[int, Sequence[int]]
) -> npt.NDArray[np.float32]:
    """Return the labels of films, float32 [N], from those of declared rows.

    One picture has one truth: a row that does not know leaves it to its equals, and rows that contradict each other make the
    label unknown, whichever came first.

    Args:
        by_row: 1 yes, 0 no, NaN not known, of each declared row.
        rows: of the films, [N].
        equals: position of a film -> the rows that were set aside for it.
    """
    labels = by_row[rows]
    for film, others in equals.items():
        told = by_row[[int(rows[film]), *others]]
        known = np.unique(told[~np.isnan(told)])
        labels[film] = known[0] if len(known) == 1 else np.nan
    return labels


def _equal_films(rows: npt.NDArray[np.integer], digests: npt.NDArray[np.bytes_]) -> Iterator[list[int]]:
    """Yield the rows, ascending, of each picture that several films have."""
    order = np.argsort(digests, kind="stable")
    begins = (
        np.flatnonzero(np.append(True, digests[order][1:] != digests[order][:-1])) if len(order) else order
    )
    for start, end in itertools.pairwise([*begins.tolist(), len(order)]):
        if end - start > 1:
            yield [int(row) for row in rows[order[start:end]]]
