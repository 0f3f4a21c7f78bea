"""`index.parquet`: one row for each film that can be used, in order of ordinals, without anything that identifies anyone.

Patients, studies and films are numbers here; what they stand for lies in the private tables beside it.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from chex_jobs.data.records.ages import age_in_years, is_age_column
from chex_jobs.data.records.films import Films
from chex_jobs.data.tables.cells import Cells

INDEX = "index.parquet"
EQUALS = "equal-films.parquet"
"""Rows that were set aside as one patient's film again, each with the film's ordinal; there where any were."""
PATIENTS = "private/patients.parquet"
REPORTS = "private/reports.parquet"
FILMS = "private/films.parquet"
DECODED = "private/decoded.parquet"
QUARANTINE = "private/quarantine.parquet"

META_PREFIX = "meta:"

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
    arrays = [_arrow(fixed[field.name], field.type) for field in FIXED_COLUMNS]
    names = list(FIXED_COLUMNS.names)
    for name, cells in metadata.items():
        stored = Cells.of(map(age_in_years, cells) if is_age_column(name) else cells)
        arrays.append(stored.text)
        names.append(META_PREFIX + name)
    return pa.Table.from_arrays(arrays, names=names)


def _arrow(values: Sequence[object] | npt.NDArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, Cells):
        return values.text.cast(kind)
    if isinstance(values, np.ndarray) and values.dtype.kind == "S":  # digits of digests
        return pa.array(values, pa.binary()).cast(kind)
    return pa.array(values, kind)


def to_parquet(table: pa.Table) -> bytes:
    """Return a table as Parquet. The same table gives the same bytes."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def from_parquet(content: bytes) -> pa.Table:
    """Read what `to_parquet` wrote."""
    return pyarrow.parquet.read_table(pa.BufferReader(content))


def numbered_studies(films: Films) -> npt.NDArray[np.int32]:
    """Number studies, int32 [N], in order of first appearance: ids are unique within a patient; a film without one is its own."""
    told = zip(films.patients, films.studies, films.keys, strict=True)
    # No patient holds a zero character: normal forms have none.
    names = (
        f"{patient}\0id\0{study}" if study else f"{patient}\0film\0{key}" for patient, study, key in told
    )
    numbers, _ = Cells.of(names).numbered()
    return numbers
