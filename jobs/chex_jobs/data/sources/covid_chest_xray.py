"""covid-chestxray-dataset (J. P. Cohen and others, 2020): films from publications and web sites, with notes.

- `metadata.csv` and `images/`; the licence of each film stands in the table (CC BY-NC-SA for most).
- Labels: `finding` lists values parted by `/` (from general to special, `Pneumonia/Viral/COVID-19`) or, in earlier
  versions, by a comma (`COVID-19, ARDS`). A blank cell, `todo` and `Unknown` mean that nobody has looked yet.
- Views: PA, AP, AP Supine and AP Erect are frontal, L is lateral; CT slices and volumes are left out and counted.
- `clinical_notes` serve as reports. One note is often shared by several films of a patient; notes mix history with
  findings and often name the diagnosis, so that an image-text objective can learn the label from them.
- Films of the Hannover repository occur here under other patient ids: drop them where Hannover is a hospital.
- Splits are ours, by patient; none is published.
"""

from collections.abc import Collection

from chex_api.dataset import CovidChestXray
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.data.records.ages import age_in_years
from chex_jobs.data.records.film_table import FilmTable
from chex_jobs.data.records.films import FilmRecord, Films
from chex_jobs.data.records.findings import left_out
from chex_jobs.data.records.views import OTHER, projection_of, view_of
from chex_jobs.data.sources import folder
from chex_jobs.data.tables.columns import ColumnFormat, is_blank
from chex_jobs.data.tables.raw_table import RawTable

TABLE = "metadata.csv"
FRONTAL = ("PA", "AP", "AP Supine", "AP Erect", "AP semi erect", "Antero-posterior", "Postero-anterior")
LATERAL = ("L", "Lateral")
FORMATS = {"finding": ColumnFormat(separators="/,", unknown=frozenset({"", "todo", "unknown"}))}


class CovidChestXraySource:
    """Reads covid-chestxray-dataset, in the spellings of its successive versions."""

    def __init__(self, spec: CovidChestXray) -> None:
        self._storage = open_storage(spec.uri)

    def films(self, columns: Collection[str]) -> FilmTable:
        """See `chex_jobs.data.records.film_table.Source`."""
        table = folder.read_table(self._storage, (TABLE,))
        keys = self._keys(table)
        kept = _films_of(table)
        order = sorted(kept, key=lambda row: (keys[row], row))
        others = sorted(set(range(table.num_rows)) - set(kept))
        findings = left_out("not an X-ray", [table.number(row) for row in others])
        table, keys = table.select(order), [keys[row] for row in order]
        stamps = folder.stamps_of(self._storage, keys)
        views = table.column("view")
        films = Films.of(
            FilmRecord(
                key=key,
                patient="" if is_blank(patient) else patient.strip(),
                study=offset.strip(),
                view=view_of(view, FRONTAL, LATERAL),
                size_bytes=stamps[key].size,
                mark=stamps[key].mark,
                report=None if is_blank(note) else note,
                row=table.number(row),
            )
            for row, (key, patient, offset, view, note) in enumerate(
                zip(
                    keys,
                    table.column("patientid"),
                    table.optional_column("offset"),
                    views,
                    table.column("clinical_notes"),
                    strict=True,
                )
            )
        )
        return FilmTable(
            films=films,
            columns={name: table.column(name) for name in columns},
            formats=FORMATS,
            metadata={
                "view": [projection_of(cell) for cell in views],
                "sex": [folder.sex(cell) for cell in table.optional_column("sex")],
                "age": [age_in_years(cell) for cell in table.optional_column("age")],
            },
            findings=tuple(findings),
        )

    def reader(self) -> folder.FileReader:
        """See `chex_jobs.data.records.film_table.Source`."""
        return folder.FileReader(self._storage)

    def _keys(self, table: RawTable) -> list[str]:
        names = table.any_column(("filename", "image"))
        folders = table.optional_column("folder")
        return [
            f"{below.strip() or 'images'}/{name.strip()}" for below, name in zip(folders, names, strict=True)
        ]


def _films_of(table: RawTable) -> list[int]:
    """Return the rows that are X-rays. Early versions have no modality; there the view tells (`Axial`, `Coronal`)."""
    modalities, views = table.optional_column("modality"), table.column("view")

    def is_film(modality: str, view: str) -> bool:
        if modality.strip():
            return modality.strip().casefold() == "x-ray"
        return view_of(view, FRONTAL, LATERAL) != OTHER

    return [
        row
        for row, (modality, view) in enumerate(zip(modalities, views, strict=True))
        if is_film(modality, view)
    ]
