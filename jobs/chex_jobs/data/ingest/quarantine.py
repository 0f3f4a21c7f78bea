"""Why a film is set aside instead of stopping the ingest, and the table that says so.

The table names files, so it lies in the private prefix of the artifact. Logs, status and summaries carry counts by
reason only.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import pyarrow as pa

from chex_jobs.data.decoding.faults import Fault
from chex_jobs.data.errors import QuarantineError

QUARANTINE_SCHEMA = pa.schema([("file", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


def quarantine_table(keys: Sequence[str], faults: Mapping[int, Fault]) -> pa.Table:
    """Return the films that were set aside, by row, as a table in the order of keys.

    Args:
        keys: of all films, by row.
        faults: by row.
    """
    rows = sorted(faults)
    return pa.Table.from_arrays(
        [
            pa.array([keys[row] for row in rows], pa.string()),
            pa.array([faults[row].reason.value for row in rows], pa.string()),
            pa.array([faults[row].detail for row in rows], pa.string()),
        ],
        schema=QUARANTINE_SCHEMA,
    )


def counts_by_reason(faults: Iterable[Fault]) -> dict[str, int]:
    """Return how many films each reason set aside, most frequent first. Safe for status and logs."""
    counts = Counter(fault.reason.value for fault in faults)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def check_share(faults: Collection[Fault], num_films: int, max_share: float) -> None:
    """Raise `QuarantineError` when more than `max_share` (0..1) of `num_films` declared films are set aside."""
    if len(faults) <= max_share * num_films:
        return
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts_by_reason(faults).items())
    raise QuarantineError(
        f"{len(faults)} of {num_films} films ({len(faults) / num_films:.1%}) cannot be used ({reasons}), and "
        f"quarantine.maxShare allows {max_share:.1%}. The films are listed in private/quarantine.parquet of this "
        "attempt: mend the source, or raise the data set's quarantine.maxShare."
    )
