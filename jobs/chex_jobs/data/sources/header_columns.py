"""Columns that are read from the headers of DICOM films, beside those of a table or in place of them."""

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from chex_api.dataset import Table
from chex_jobs.artifacts.errors import InvalidLocation, ObjectNotFound
from chex_jobs.artifacts.storage import Storage
from chex_jobs.data.decoding.decode import is_dicom
from chex_jobs.data.sources.dicom_header import (
    Header,
    check_names_nobody,
    keyword_of,
    read_header,
)
from chex_jobs.data.sources.header_names import FILM_PATH, is_header_column
from chex_jobs.data.tables.raw_table import RawTable

HEADER_BYTES = 64 << 10
"""What is read of a file at first. Headers of films take 2 to 40 KiB; of a longer one the whole file is read."""
_READERS = 16


def read_headers(
    storage: Storage, keys: Iterable[str], keywords: Collection[str]
) -> dict[str, Header | None]:
    """Return, in the order of keys, what was asked of each file's header; None: no DICOM, or no file."""
    wanted = list(keys)

    def read(key: str) -> Header | None:
        return _read_header(storage, key, keywords)

    # What pydicom warns of quotes the header, which is a patient's.
    with warnings.catch_warnings(), ThreadPoolExecutor(_READERS, thread_name_prefix="dicom-header") as pool:
        warnings.simplefilter("ignore")
        return dict(zip(wanted, pool.map(read, wanted), strict=True))


def check_header_names(spec: Table, names: Mapping[str, str], field: str) -> None:
    """Raise `ColumnError` where DICOM has no such element, or a subgroup would tell who somebody is.

    Args:
        spec: the source.
        names: see `header_names.header_names`.
        field: path of the source.
    """
    for name, path in names.items():
        keyword_of(name, path)
    for number, name in enumerate(spec.subgroup_columns):
        if is_header_column(name):
            check_names_nobody(name, f"{field}.subgroupColumns[{number}]")


def with_headers(table: RawTable, names: Collection[str], paths: Sequence[str], storage: Storage) -> RawTable:
    """Return the table with columns of headers; their cells are blank where a row's film is no DICOM, or not there.

    Args:
        table: as it lies in the source.
        names: columns of headers.
        paths: of the films, by row; empty for a row that names none.
        storage: where films lie.
    """
    keywords = [keyword_of(name) for name in names]
    headers = read_headers(storage, sorted(set(paths) - {""}), keywords)
    return _with_cells(table, names, [headers.get(path) for path in paths])


def with_films_by_element(
    table: RawTable, spec: Table, names: Collection[str], field: str, storage: Storage
) -> RawTable:
    """Return the table with a row for each film, `FILM_PATH` told by an element of the header, and columns of headers.

    A row whose value no film has keeps it as a path where nothing lies, so that it is told as a missing film.

    Args:
        table: as it lies in the source.
        spec: whose `image.column` holds values of `image.element`.
        names: columns of headers.
        field: path of the source in the manifest.
        storage: where films lie, at any depth.

    Raises:
        ColumnError: DICOM has no such element, or the table no such column.
    """
    element = keyword_of(spec.image.element, f"{field}.image.element")
    values = table.column(spec.image.column, f"{field}.image.column")
    headers = read_headers(storage, storage.sizes(), [element, *(keyword_of(name) for name in names)])
    paths_of: dict[str, list[str]] = {}
    for key, header in headers.items():
        if header and header.has_image and header.cells[element]:
            paths_of.setdefault(header.cells[element], []).append(key)
    found = [
        (row, path)
        for row, value in enumerate(values)
        for path in paths_of.get(value.strip(), [value.strip()])
    ]
    table = table.select([row for row, _ in found])
    paths = [path for _, path in found]
    table = replace(table, columns={**table.columns, FILM_PATH: paths})
    return _with_cells(table, names, [headers.get(path) for path in paths])


def _with_cells(table: RawTable, names: Collection[str], headers: Sequence[Header | None]) -> RawTable:
    cells = {name: [each.cells[keyword_of(name)] if each else "" for each in headers] for name in names}
    return replace(table, columns={**table.columns, **cells})


def _read_header(storage: Storage, key: str, keywords: Collection[str]) -> Header | None:
    try:
        start = storage.read_start(key, HEADER_BYTES)
        if not is_dicom(start):
            return None
        is_whole = len(start) < HEADER_BYTES
        header = read_header(start, keywords, is_whole=is_whole)
        if header is not None or is_whole:
            return header
        return read_header(storage.read_bytes(key), keywords, is_whole=True)
    except (ObjectNotFound, InvalidLocation):
        return None
