"""`index.parquet`: one row for each film that can be used, in order of ordinals, without anything that identifies anyone.

Patients, studies and films are numbers here; what they stand for lies in the private tables beside it.
"""

import io
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from chex_jobs.data.ages import age_in_years, is_age_column

INDEX = "index.parquet"
PATIENTS = "private/patients.parquet"
REPORTS = "private/reports.parquet"
FILMS = "private/films.parquet"
DECODED = "private/decoded.parquet"
QUARANTINE = "private/quarantine.parquet"

META_PREFIX = "meta:"

_Value = TypeVar("_Value", bound=Hashable)

FIXED_COLUMNS = pa.schema(
    [
        ("ordinal", pa.int32()),
        ("row", pa.int32()),
        ("shard", pa.int32()),
        ("offset", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("patient", pa.int32()),
        ("study", pa.int32()),
        ("view", pa.string()),
        ("split", pa.string()),
        ("fold", pa.int32()),
        ("has_report", pa.bool_()),
        ("film_sha256", pa.string()),
        ("file_sha256", pa.string()),
    ]
)
"""Columns of every index; `meta:COLUMN` string follow. `row` is the film's among those declared: labels go by it."""


def index_table(
    fixed: Mapping[str, Sequence[object] | npt.NDArray],
    metadata: Mapping[str, Sequence[str]],
) -> pa.Table:
    """Return the index from its columns, all of length N.

    Ages are capped here, whatever source wrote them: no index holds one that identifies somebody.
    """
    arrays = [pa.array(fixed[field.name], field.type) for field in FIXED_COLUMNS]
    names = list(FIXED_COLUMNS.names)
    for name, cells in metadata.items():
        stored = [age_in_years(cell) for cell in cells] if is_age_column(name) else cells
        arrays.append(pa.array(stored, pa.string()))
        names.append(META_PREFIX + name)
    return pa.Table.from_arrays(arrays, names=names)


def to_parquet(table: pa.Table) -> bytes:
    """Return a table as Parquet. The same table gives the same bytes."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def from_parquet(content: bytes) -> pa.Table:
    """Read what `to_parquet` wrote."""
    return pyarrow.parquet.read_table(pa.BufferReader(content))


def numbered(values: Sequence[_Value]) -> tuple[npt.NDArray[np.int32], list[_Value]]:
    """Number values in order of first appearance; return the number of each and the values by number."""
    number_of: dict[_Value, int] = {}
    numbers = np.fromiter(
        (number_of.setdefault(value, len(number_of)) for value in values), np.int32, len(values)
    )
    return numbers, list(number_of)
