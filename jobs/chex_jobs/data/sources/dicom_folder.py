"""A folder of DICOM files without a table: each file a film, each column an element of its header.

- Every file below the folder counts, whatever its name. What is no DICOM object, and objects without pixels (reports,
  presentation states, DICOMDIR), are left out and counted.
- Objects in colour and of several frames are set aside, as films that cannot be used: screenshots, ultrasound.
- Filters, views, patients and studies are those of `table`, on columns of headers.
"""

from collections.abc import Collection
from dataclasses import replace

from chex_api.dataset import DicomFolder, Table, TableImage
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.data.decoding.faults import Fault, Reason
from chex_jobs.data.records.film_table import FilmTable
from chex_jobs.data.records.films import FilmRecord, Films
from chex_jobs.data.records.findings import Finding, Kind
from chex_jobs.data.sources import folder
from chex_jobs.data.sources.dicom_header import Header
from chex_jobs.data.sources.header_columns import check_header_names, read_headers
from chex_jobs.data.sources.header_names import PREFIX, header_names
from chex_jobs.data.sources.table import TableSource
from chex_jobs.data.tables.raw_table import RawTable

_FIELD = "source.dicomFolder"
_FILE = "the headers of the DICOM files"
_PATH = "path"
_NEEDED = ("PhotometricInterpretation", "NumberOfFrames")


class DicomFolderSource:
    """Reads a folder as the manifest's `source.dicomFolder` describes it."""

    def __init__(self, spec: DicomFolder) -> None:
        self._storage = open_storage(spec.uri)
        self._spec = Table(
            uri=spec.uri,
            file="headers.csv",
            image=TableImage(column=_PATH),
            patient_column=spec.patient_column,
            study_column=spec.study_column,
            view=spec.view,
            subgroup_columns=spec.subgroup_columns,
            age_column=spec.age_column,
            where=spec.where,
        )

    def films(self, columns: Collection[str]) -> FilmTable:
        """See `chex_jobs.data.records.film_table.Source`."""
        names = header_names(self._spec, columns, _FIELD)
        check_header_names(self._spec, names, _FIELD)
        keywords = sorted({name.removeprefix(PREFIX) for name in names} | set(_NEEDED))
        headers = read_headers(self._storage, self._storage.sizes(), keywords)
        pictures = {key: header for key, header in headers.items() if header and header.has_image}
        cells = {
            name: [each.cells[name.removeprefix(PREFIX)] for each in pictures.values()] for name in names
        }
        table = RawTable(_FILE, {_PATH: list(pictures), **cells}, len(pictures))
        films = TableSource(self._spec, field=_FIELD).films_of(table, columns)
        counts = {
            "not DICOM": sum(header is None for header in headers.values()),
            "no image": sum(header is not None and not header.has_image for header in headers.values()),
        }
        findings = [
            Finding(kind=Kind.LEFT_OUT, reason=reason, count=count)
            for reason, count in counts.items()
            if count
        ]
        return replace(
            films,
            films=Films.of(_judged(film, pictures[film.key]) for film in films.films),
            findings=(*films.findings, *findings),
        )

    def reader(self) -> folder.FileReader:
        """See `chex_jobs.data.records.film_table.Source`."""
        return folder.FileReader(self._storage)


def _judged(film: FilmRecord, header: Header) -> FilmRecord:
    """Return the film with what its header says against it."""
    photometric, frames = (header.cells[keyword] for keyword in _NEEDED)
    if not photometric.startswith("MONOCHROME"):
        return replace(
            film, fault=Fault(Reason.UNSUPPORTED_MODE, f"DICOM in colour ({photometric or 'not told'})")
        )
    if frames.lstrip("0") not in ("", "1"):
        return replace(film, fault=Fault(Reason.UNSUPPORTED_MODE, f"DICOM with {frames} frames"))
    return film
