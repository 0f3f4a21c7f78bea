"""Which films belong to one unit: what a model of studies or patients has to know before it may decide anything.

A study model's threshold holds for the mean over all films of a study. A single film has another spread, so a decision
from it would be at another specificity than the one that was tested.
"""

from collections.abc import Sequence
from pathlib import Path

from chex_api.dataset import ScoringUnit
from chex_jobs.data.errors import SourceError
from chex_jobs.data.records.patients import normal_patient_id
from chex_jobs.data.tables.raw_table import parse_table

PATIENT_COLUMN = "patient"
"""Where a table of studies has it, no study may be of two patients: study numbers are often unique within one only."""


class GroupingError(Exception):
    """It is not known which films belong together, or the table that says so cannot be used."""


def film_units(
    unit: ScoringUnit, images: Sequence[str], table: Path | None, image_column: str, unit_column: str
) -> dict[str, list[str]]:
    """Unit -> its films, in the order in which they are named.

    Args:
        unit: what the model scores.
        images: films on the command line; with a table those that are scored (none: all of the table).
        table: CSV or Parquet; relative paths in it are relative to its folder.
        image_column: its column with the path of each film.
        unit_column: its column that is equal for films of one unit; empty: `study` or `patient`, as the model is.

    A patient or study is one however the id is spelled, as in training. Raises GroupingError when a model of studies or patients has
    no table, or a film is not in it, is there twice, or has no unit, or a study is of two patients.
    """
    if table is None:
        if unit != "Image":
            raise GroupingError(
                f"this model scores the mean over all films of a {unit.lower()}, and decides nothing from a single film; "
                f"say which films belong together: --table FILE with the columns {image_column!r} and {unit.lower()!r} "
                "(--unit-column names another)"
            )
        if not images:
            raise GroupingError("no film is named: give IMAGE... or --table FILE")
        return {image: [image] for image in dict.fromkeys(images)}
    listed = _listed(unit, table, image_column, "" if unit == "Image" else unit_column or unit.lower())
    wanted = [_whole_path(Path(image)) for image in images]
    for image, path in zip(images, wanted, strict=True):
        if path not in listed:
            raise GroupingError(f"{image} is not in {table}: add it, with what it belongs to")
    chosen = {listed[path] for path in wanted} if wanted else set(listed.values())
    units: dict[str, list[str]] = {}
    for path, name in listed.items():
        if name in chosen:
            units.setdefault(name, []).append(path)
    return units


def _listed(unit: ScoringUnit, table: Path, image_column: str, unit_column: str) -> dict[str, str]:
    """Path of each film of the table -> its unit as it is spelled first; the film itself where no column is asked for."""
    try:
        raw = parse_table(table.name, table.read_bytes())
        images = raw.column(image_column, "--image-column")
        units = raw.column(unit_column, "--unit-column") if unit_column else images
        patients = raw.optional_column(PATIENT_COLUMN)
    except SourceError as error:
        raise GroupingError(str(error)) from error
    except OSError as error:
        raise GroupingError(f"{table}: {error.strerror}") from error
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    for number, (image, written, patient) in enumerate(zip(images, units, patients, strict=True), start=1):
        path = _whole_path(table.parent / image.strip())
        name = written.strip() if unit == "Image" else normal_patient_id(written)
        if not image.strip() or not name:
            empty = unit_column if image.strip() else image_column
            raise GroupingError(f"{table}, row {number} after the header: {empty!r} is empty")
        if path in found:
            raise GroupingError(f"{table}, row {number} after the header: {image} is there twice")
        owner = normal_patient_id(patient) if unit == "Study" else ""
        if owner and owners.setdefault(name, owner) != owner:
            raise GroupingError(
                f"{table}, row {number} after the header: the study of this row is another patient's too ({PATIENT_COLUMN!r}); "
                "name a column that tells them apart: --unit-column"
            )
        found[path] = names.setdefault(name, written.strip())
    return found


def _whole_path(path: Path) -> str:
    return str(path.absolute())
