"""Films whose pixels equal those of another film."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from chex_jobs.data.faults import Fault, Reason


def duplicates(
    rows: npt.NDArray[np.integer], digests: npt.NDArray[np.bytes_], patients: Sequence[str]
) -> dict[int, Fault]:
    """Return the rows to set aside.

    Of one patient's equal films the first by key is kept. Equal films of different patients are all set aside: one of
    the ids is wrong or one person has two, nobody can tell which, and each way of keeping one could put the same
    picture on both sides of a split.

    Args:
        rows: of the decoded films, [N], ascending.
        digests: of size and pixels, as bytes, [N].
        patients: patient id by row.
    """
    faults: dict[int, Fault] = {}
    for equal in _equal_films(rows, digests):
        if len({patients[row] for row in equal}) > 1:
            detail = f"{len(equal)} films of different patients have the same pixels"
            faults |= {row: Fault(Reason.DUPLICATE, detail) for row in equal}
        else:
            faults |= {
                row: Fault(Reason.DUPLICATE, "an earlier film of the patient has the same pixels")
                for row in equal[1:]
            }
    return faults


def _equal_films(rows: npt.NDArray[np.integer], digests: npt.NDArray[np.bytes_]) -> Iterator[list[int]]:
    """Yield the rows, ascending, of each picture that several films have."""
    order = np.argsort(digests, kind="stable")
    begins = (
        np.flatnonzero(np.append(True, digests[order][1:] != digests[order][:-1])) if len(order) else order
    )
    for start, end in itertools.pairwise([*begins.tolist(), len(order)]):
        if end - start > 1:
            yield [int(row) for row in rows[order[start:end]]]
