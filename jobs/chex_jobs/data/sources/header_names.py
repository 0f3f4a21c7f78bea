"""Names of columns that are read from headers of DICOM films. Light: whoever names none needs no DICOM library."""

from collections.abc import Collection, Iterator

from chex_api.dataset import Table

PREFIX = "dicom:"
FILM_PATH = "dicom:path"
"""Column of the paths of films that an element of the header has told."""
_SHOWN_NAMES = {"PatientAge": "age", "PatientSex": "sex"}


def is_header_column(name: str) -> bool:
    """Tell whether a column is read from headers."""
    return name.startswith(PREFIX)


def shown_name(column: str) -> str:
    """Return the name under which a subgroup is shown: that of a table's column, or what a header's is in plain words."""
    keyword = column.removeprefix(PREFIX)
    return _SHOWN_NAMES.get(keyword, keyword) if is_header_column(column) else column


def header_names(spec: Table, columns: Collection[str], field: str) -> dict[str, str]:
    """Return the columns of headers that a source's fields and tasks name, and the path of a field that names each.

    Args:
        spec: the source.
        columns: what tasks ask for; a column that only they name has no path.
        field: path of the source.
    """
    named = {name: path for path, name in _named(spec, field)}
    asked = dict.fromkeys(columns, "") | named
    return {name: asked[name] for name in sorted(asked) if is_header_column(name)}


def _named(spec: Table, field: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each field that names a column, and the column."""
    yield f"{field}.patientColumn", spec.patient_column
    yield f"{field}.studyColumn", spec.study_column
    yield f"{field}.reportColumn", spec.report_column
    yield f"{field}.ageColumn", spec.age_column
    if spec.view is not None:
        yield f"{field}.view.column", spec.view.column
    yield from ((f"{field}.where[{number}].column", each.column) for number, each in enumerate(spec.where))
    yield from ((f"{field}.reportColumns[{number}]", each) for number, each in enumerate(spec.report_columns))
    yield from ((f"{field}.lists[{number}].column", each.column) for number, each in enumerate(spec.lists))
    yield from (
        (f"{field}.subgroupColumns[{number}]", each) for number, each in enumerate(spec.subgroup_columns)
    )
