"""Any hospital's export: one CSV or Parquet table with a row for each film, and PNG, JPEG or DICOM files beside it.

The manifest says which column is what. Patient and study ids, the column that names the film and the reports go to
the private part of the artifact only; subgroup columns are kept beside the films, so they must not identify anybody.
"""

from collections.abc import Collection

from chex_api.dataset import Table
from chex_jobs.artifacts.storage import open_storage
from chex_jobs.data import ages
from chex_jobs.data.columns import is_blank
from chex_jobs.data.records import FilmRecord, FilmTable
from chex_jobs.data.sources import folder
from chex_jobs.data.sources.header_names import FILM_PATH, header_names, shown_name
from chex_jobs.data.tables import RawTable
from chex_jobs.data.text import select_sections
from chex_jobs.data.views import FRONTAL, projection_of, view_of


class TableSource:
    """Reads a table as the manifest's `source.table` describes it."""

    def __init__(self, spec: Table, field: str = "source.table") -> None:
        self._spec = spec
        self._field = field
        self._storage = open_storage(spec.uri)

    def films(self, columns: Collection[str]) -> FilmTable:
        """See `chex_jobs.data.records.Source`."""
        return self.films_of(self._table(columns), columns)

    def films_of(self, table: RawTable, columns: Collection[str]) -> FilmTable:
        """Return the films of a table that is read already, columns of headers included."""
        spec = self._spec
        images = table.column(
            FILM_PATH if spec.image.element else spec.image.column, f"{self._field}.image.column"
        )
        wanted = self._wanted(table)
        named = [row for row in wanted if not is_blank(images[row])]
        left_out = {"where": table.num_rows - len(wanted), "no film named": len(wanted) - len(named)}
        keys = {row: self._path(images[row]) for row in named}
        order = sorted(named, key=lambda row: (keys[row], row))
        table = table.select(order)
        return FilmTable(
            films=self._records(table, [keys[row] for row in order]),
            columns={name: table.column(name) for name in columns},
            metadata=self._metadata(table),
            left_out={reason: count for reason, count in left_out.items() if count},
        )

    def reader(self) -> folder.FileReader:
        """See `chex_jobs.data.records.Source`."""
        return folder.FileReader(self._storage)

    def _table(self, columns: Collection[str]) -> RawTable:
        """Read the table, and the columns of headers that fields of the manifest or `columns` name."""
        spec = self._spec
        table = folder.read_table(self._storage, (spec.file,))
        names = header_names(spec, columns, self._field)
        if not names and not spec.image.element:
            return table
        from chex_jobs.data.sources import header_columns  # pydicom takes as long to import as all the rest

        header_columns.check_header_names(spec, names, self._field)
        if spec.image.element:
            return header_columns.with_films_by_element(table, spec, names, self._field, self._storage)
        images = table.column(spec.image.column, f"{self._field}.image.column")
        paths = ["" if is_blank(image) else self._path(image) for image in images]
        return header_columns.with_headers(table, names, paths, self._storage)

    def _path(self, image: str) -> str:
        return self._spec.image.path.replace("{}", image.strip())

    def _wanted(self, table: RawTable) -> list[int]:
        """Return the rows that every filter keeps."""
        rows = range(table.num_rows)
        for number, where in enumerate(self._spec.where):
            cells = table.column(where.column, f"{self._field}.where[{number}].column")
            values = {value.strip() for value in where.values}
            rows = [row for row in rows if cells[row].strip() in values]
        return list(rows)

    def _records(self, table: RawTable, keys: list[str]) -> tuple[FilmRecord, ...]:
        spec = self._spec
        blank = [""] * table.num_rows
        patients = table.column(spec.patient_column, f"{self._field}.patientColumn")
        studies = (
            table.column(spec.study_column, f"{self._field}.studyColumn") if spec.study_column else blank
        )
        reports = (
            table.column(spec.report_column, f"{self._field}.reportColumn") if spec.report_column else blank
        )
        views = self._views(table)
        stamps = folder.stamps_of(self._storage, keys)
        return tuple(
            FilmRecord(
                key=key,
                patient="" if is_blank(patient) else patient.strip(),
                study="" if is_blank(study) else study.strip(),
                view=view,
                size_bytes=stamps[key].size,
                mark=stamps[key].mark,
                report=None if is_blank(report) else select_sections(report, spec.report_sections),
            )
            for key, patient, study, view, report in zip(keys, patients, studies, views, reports, strict=True)
        )

    def _views(self, table: RawTable) -> list[str]:
        mapping = self._spec.view
        if mapping is None:
            return [FRONTAL] * table.num_rows
        cells = table.column(mapping.column, f"{self._field}.view.column")
        return [view_of(cell, mapping.frontal, mapping.lateral) for cell in cells]

    def _metadata(self, table: RawTable) -> dict[str, list[str]]:
        metadata: dict[str, list[str]] = {}
        if self._spec.view is not None:
            metadata["view"] = [projection_of(cell) for cell in table.column(self._spec.view.column)]
        for number, name in enumerate(self._spec.subgroup_columns):
            cells = table.column(name, f"{self._field}.subgroupColumns[{number}]")
            metadata[shown_name(name)] = ["" if is_blank(cell) else cell.strip() for cell in cells]
        if self._spec.age_column:
            metadata[ages.COLUMN] = table.column(self._spec.age_column, f"{self._field}.ageColumn")
        return {
            name: [ages.age_in_years(cell) for cell in cells] if ages.is_age_column(name) else cells
            for name, cells in metadata.items()
        }
