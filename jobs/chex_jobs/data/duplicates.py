"""Films whose pixels equal those of another film."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from chex_jobs.data.faults import Fault, Reason


def duplicates(digests: Mapping[int, str], patients: Sequence[str]) -> dict[int, Fault]:
    """Return the rows to set aside.

    Of one patient's equal films the first by key is kept. Equal films of different patients are all set aside: one of
    the ids is wrong or one person has two, nobody can tell which, and each way of keeping one could put the same
    picture on both sides of a split.

    Args:
        digests: digest of size and pixels by row.
        patients: patient id by row.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row in sorted(digests):
        rows_of[digests[row]].append(row)
    faults: dict[int, Fault] = {}
    for rows in rows_of.values():
        if len({patients[row] for row in rows}) > 1:
            detail = f"{len(rows)} films of different patients have the same pixels"
            faults |= {row: Fault(Reason.DUPLICATE, detail) for row in rows}
        else:
            faults |= {
                row: Fault(Reason.DUPLICATE, "an earlier film of the patient has the same pixels")
                for row in rows[1:]
            }
    return faults
