"""What sources share whose tables and films are files below one URI."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from chex_jobs.artifacts.errors import InvalidLocation, ObjectNotFound
from chex_jobs.artifacts.location import common_folder
from chex_jobs.artifacts.storage import ObjectStamp, Storage
from chex_jobs.data.decoding.faults import FilmError, Reason
from chex_jobs.data.errors import SourceError
from chex_jobs.data.records.film_table import MISSING
from chex_jobs.data.tables.raw_table import RawTable, parse_parquet, parse_table
from chex_jobs.data.tables.table_format import TableFormat

ABSENT = ObjectStamp(MISSING, "")
"""Of a film that a table names and its storage does not have."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads film files below a URI. Storage pickles as its URI: each process connects with its own credentials."""

    storage: Storage

    def read(self, key: str) -> bytes:
        """Return the file's bytes. Raises `FilmError` (MISSING_FILE) if there is none, `ArtifactError` for storage."""
        try:
            return self.storage.read_bytes(key)
        except (ObjectNotFound, InvalidLocation) as error:
            raise FilmError(Reason.MISSING_FILE, "not below the source's URI") from error


def read_table(storage: Storage, names: Sequence[str], form: TableFormat | None = None) -> RawTable:
    """Read the first table there is of the names that a published format has used.

    Args:
        storage: where the source lies.
        names: of files, or of folders of Parquet files.
        form: what the manifest says of the table.

    Raises:
        SourceError: none is there, or it cannot be parsed.
    """
    for name in names:
        files = table_files(storage, name)
        if files and files != [name]:
            return parse_parquet(name, {file: storage.read_bytes(file) for file in files}, form)
        try:
            return parse_table(name, storage.read_bytes(name), form)
        except (ObjectNotFound, InvalidLocation):
            continue
    raise SourceError(
        f"{storage.uri} has no {' or '.join(names)}: check the source's uri, it is the folder above it."
    )


def table_files(storage: Storage, name: str) -> list[str]:
    """Return the files that a table is made of: itself, or the Parquet files of a folder that engines write many of.

    Names that begin with `_` or `.` are theirs, not data.
    """
    if not name.endswith((".parquet", "/")):
        return [name]
    folder = name.rstrip("/")
    below = (key.removeprefix(f"{folder}/") for key in storage.sizes(folder))
    data = sorted(key for key in below if key.endswith(".parquet") and not re.search(r"(^|/)[_.]", key))
    return [f"{folder}/{key}" for key in data] or [name]


def read_lines(storage: Storage, name: str) -> list[str] | None:
    """Return the lines of a text file that are not blank, or None if there is no such file."""
    try:
        content = storage.read_bytes(name)
    except ObjectNotFound:
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{name}, line {line}: byte 0x{content[error.start]:02x} is no UTF-8; save it as UTF-8"
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def stamps_of(storage: Storage, keys: Iterable[str]) -> dict[str, ObjectStamp]:
    """Return the stamp of each key, `ABSENT` for one that is not there; illegal keys (`../x`) are not there."""
    wanted = list(keys)
    there = storage.stamps(common_folder(wanted))
    return {key: there.get(key, ABSENT) for key in wanted}


def keys_by_name(storage: Storage, keys: Iterable[str], wanted: Collection[str]) -> dict[str, str]:
    """Return the key of each wanted file name that is there, in whatever folder it lies.

    Raises:
        SourceError: two files have one name, so that nobody can tell which is meant. Names both.
    """
    found: dict[str, str] = {}
    doubled: list[tuple[str, str]] = []
    names = set(wanted)
    for key in sorted(keys):
        name = key.rpartition("/")[2]
        if name in names and found.setdefault(name, key) != key:
            doubled.append((found[name], key))
    if doubled:
        first, second = doubled[0]
        raise SourceError(
            f"{storage.uri} holds {first} and {second}: two files of one name, which the table names without its folder "
            f"({len(doubled)} such pairs); move the folder that is not meant, such as one of thumbnails, to another place."
        )
    return found


def sex(cell: str) -> str:
    """Return `F`, `M` or nothing."""
    initial = cell.strip()[:1].upper()
    return {"F": "F", "W": "F", "M": "M"}.get(initial, "")
