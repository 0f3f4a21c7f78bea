"""Any hospital's export: one table with a row for each film, or several, and PNG, JPEG or DICOM files beside it.

The manifest says which column is what. Patient and study ids, the column that names the film and the reports go to
the private part of the artifact only; subgroup columns are kept beside the films, so they must not identify anybody.
"""

from collections.abc import Collection, Iterator, Sequence

from chex_api.dataset import Table
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.data.labels.filters import rows_kept
from chex_jobs.data.records import ages
from chex_jobs.data.records.film_paths import film_path
from chex_jobs.data.records.film_table import FilmTable
from chex_jobs.data.records.films import FilmRecord, Films
from chex_jobs.data.records.findings import Finding, Kind, left_out, spellings_found
from chex_jobs.data.records.patient_pattern import PatientPattern
from chex_jobs.data.records.views import FRONTAL, OTHER, projection_of, view_of
from chex_jobs.data.reports.report_texts import select_from_columns, select_sections
from chex_jobs.data.sources import folder
from chex_jobs.data.sources.header_names import FILM_PATH, header_names, shown_name
from chex_jobs.data.tables.cells import Cells
from chex_jobs.data.tables.columns import MISSING, ColumnFormat, folded, is_blank, sorts_films
from chex_jobs.data.tables.raw_table import RawTable
from chex_jobs.data.tables.table_format import TableFormat

_NOBODY_WORDS = (
    "unknown anonymous anonymized anonymised anonym anon unbekannt anonymisiert inconnu anonyme desconocido anonimo anónimo "
    "desconhecido anônimo xxx - -- ?"
)
NOBODY = MISSING | frozenset(map(folded, _NOBODY_WORDS.split()))
"""What stands in a column of patients where nobody is known, whatever the manifest calls missing: no two such films are one person's."""


class TableSource:
    """Reads a table as the manifest's `source.table` describes it."""

    def __init__(self, spec: Table, field: str = "source.table") -> None:
        self._spec = spec
        self._field = field
        self._storage = open_storage(spec.uri)
        self._missing = frozenset(map(folded, spec.missing))

    def films(self, columns: Collection[str]) -> FilmTable:
        """See `chex_jobs.data.records.film_table.Source`."""
        return self.films_of(self._table(columns), columns)

    def films_of(self, table: RawTable, columns: Collection[str]) -> FilmTable:
        """Return the films of a table that is read already, columns of headers included."""
        spec = self._spec
        images = table.column(
            FILM_PATH if spec.image.element else spec.image.column, f"{self._field}.image.column"
        )
        table.require([*self._asked(), *((name, "") for name in sorted(columns))])
        formats = self._formats(table)
        wanted = rows_kept(spec.where, table.columns, formats, table.num_rows, f"{self._field}.where")
        named = [row for row in wanted if not is_blank(images[row], self._missing)]
        findings = [
            *left_out("where", _numbers(table, set(range(table.num_rows)) - set(wanted))),
            *left_out("no film named", _numbers(table, set(wanted) - set(named))),
        ]
        paths = [self._path(images[row]) for row in named]
        order = sorted(range(len(named)), key=lambda place: (paths[place], named[place]))
        read = {*columns, *(name for name, _ in self._asked())}
        table = table.only(read).select([named[place] for place in order])
        films = self._records(table, [paths[place] for place in order])
        findings += self._reports_left_out(table, films)
        findings += self._views_not_listed(table, films)
        return FilmTable(
            films=films,
            columns={name: table.column(name) for name in columns},
            formats=formats,
            metadata=self._metadata(table),
            findings=tuple(findings),
        )

    def reader(self) -> folder.FileReader:
        """See `chex_jobs.data.records.film_table.Source`."""
        return folder.FileReader(self._storage)

    def _table(self, columns: Collection[str]) -> RawTable:
        """Read the table, and the columns of headers that fields of the manifest or `columns` name."""
        spec = self._spec
        table = folder.read_table(self._storage, (spec.file,), self._format())
        names = header_names(spec, columns, self._field)
        if not names and not spec.image.element:
            return table
        from chex_jobs.data.sources import header_columns  # pydicom takes as long to import as all the rest

        header_columns.check_header_names(spec, names, self._field)
        if spec.image.element:
            return header_columns.with_films_by_element(table, spec, names, self._field, self._storage)
        images = table.column(spec.image.column, f"{self._field}.image.column")
        paths = ["" if is_blank(image, self._missing) else self._path(image) for image in images]
        return header_columns.with_headers(table, names, paths, self._storage)

    def _path(self, image: str) -> str:
        image_of = self._spec.image
        return image.strip() if image_of.element else film_path(image_of, image)

    def _format(self) -> TableFormat:
        spec = self._spec
        return TableFormat(
            sheet=spec.sheet,
            separator=spec.separator,
            encoding=spec.encoding,
            decimal_mark=spec.decimal_mark,
        )

    def _asked(self) -> Iterator[tuple[str, str]]:
        """Yield every column that the manifest's source names, and the field that names it."""
        spec = self._spec
        yield spec.image.column, f"{self._field}.image.column"
        yield spec.patient_column, f"{self._field}.patientColumn"
        if spec.study_column:
            yield spec.study_column, f"{self._field}.studyColumn"
        if spec.report_column:
            yield spec.report_column, f"{self._field}.reportColumn"
        if spec.age_column:
            yield spec.age_column, f"{self._field}.ageColumn"
        if spec.view is not None:
            yield spec.view.column, f"{self._field}.view.column"
        for field, names in (
            ("reportColumns", spec.report_columns),
            ("subgroupColumns", spec.subgroup_columns),
        ):
            yield from ((name, f"{self._field}.{field}[{number}]") for number, name in enumerate(names))
        for field, entries in (("where", spec.where), ("lists", spec.lists)):
            yield from (
                (entry.column, f"{self._field}.{field}[{number}].column")
                for number, entry in enumerate(entries)
            )

    def _formats(self, table: RawTable) -> dict[str, ColumnFormat]:
        """Return how each column writes its cells: what the manifest says, else what the file's types say."""
        said = {
            entry.column: ColumnFormat(separators=entry.separator, is_one_value=not entry.separator)
            for entry in self._spec.lists
        }
        return {
            name: ColumnFormat(
                separators=form.separators,
                missing=self._missing,
                decimal_mark=self._spec.decimal_mark,
                is_one_value=form.is_one_value,
            )
            for name in table.columns
            for form in [table.formats.get(name) or said.get(name, ColumnFormat())]
        }

    def _records(self, table: RawTable, keys: list[str]) -> Films:
        spec = self._spec
        patients = self._patients(table)
        studies = table.column(spec.study_column) if spec.study_column else [""] * table.num_rows
        views = self._views(table)
        stamps = folder.stamps_of(self._storage, keys)
        told = zip(keys, patients, studies, views, self._told_reports(table), strict=True)
        return Films.of(
            FilmRecord(
                key=key,
                patient=patient,
                study="" if is_blank(study, self._missing | NOBODY) else study.strip(),
                view=view,
                size_bytes=stamps[key].size,
                mark=stamps[key].mark,
                report=self._report(reports),
                row=table.number(row),
            )
            for row, (key, patient, study, view, reports) in enumerate(told)
        )

    def _patients(self, table: RawTable) -> Iterator[str]:
        """Return the patient of each row; empty where nobody is known, or where the pattern is not found."""
        spec = self._spec
        pattern = PatientPattern(spec.patient_pattern) if spec.patient_pattern else None
        found: dict[str, str] = {}
        for cell in set(table.column(spec.patient_column)):
            patient = pattern.find(cell.strip()).strip() if pattern else cell.strip()
            nobody = is_blank(patient, self._missing | NOBODY)
            found[cell] = "" if nobody else patient
        return (found[cell] for cell in table.column(spec.patient_column))

    def _told_reports(self, table: RawTable) -> Iterator[dict[str, str]]:
        """Yield the columns of each row that hold text of a report, with the text."""
        spec = self._spec
        names = spec.report_columns or ((spec.report_column,) if spec.report_column else ())
        if not names:
            yield from ({} for _ in range(table.num_rows))
        for row in zip(*(table.columns[name] for name in names), strict=True):
            yield {
                name: cell for name, cell in zip(names, row, strict=True) if not is_blank(cell, self._missing)
            }

    def _report(self, told: dict[str, str]) -> str | None:
        """Return the wanted text of a row; None where there is no report, or none of its sections is wanted."""
        wanted = self._spec.report_sections
        if self._spec.report_columns:
            return select_from_columns(told, wanted) or None
        return select_sections(told[self._spec.report_column], wanted) or None if told else None

    def _reports_left_out(self, table: RawTable, films: Films) -> list[Finding]:
        silent = [
            row
            for row, kept, told in zip(
                films.rows.tolist(), films.reports, self._told_reports(table), strict=True
            )
            if kept is None and told
        ]
        reason = "none of reportSections is found in the report"
        return (
            [Finding(kind=Kind.NO_REPORT, reason=reason, count=len(silent), row=min(silent))]
            if silent
            else []
        )

    def _views(self, table: RawTable) -> list[str]:
        mapping = self._spec.view
        if mapping is None:
            return [FRONTAL] * table.num_rows
        cells = table.column(mapping.column)
        listed = frozenset(map(folded, (*mapping.frontal, *mapping.lateral)))
        view: dict[str, str] = {}
        for cell in set(cells):
            is_missing = is_blank(cell, self._missing) and folded(cell) not in listed
            view[cell] = view_of("" if is_missing else cell, mapping.frontal, mapping.lateral)
        return [view[cell] for cell in cells]

    def _views_not_listed(self, table: RawTable, films: Films) -> list[Finding]:
        mapping = self._spec.view
        if mapping is None:
            return []
        cells = table.column(mapping.column)
        told = zip(cells, films.rows.tolist(), films.views, strict=True)
        unlisted = [(cell, row) for cell, row, view in told if view == OTHER]
        return spellings_found(
            Kind.NOT_UNDERSTOOD,
            "is neither a frontal nor a lateral view",
            sorted(unlisted, key=lambda cell: cell[1]),
            subject=f"{self._field}.view",
            may_be_told=sorts_films(set(map(folded, cells)), len(cells)),
        )

    def _metadata(self, table: RawTable) -> dict[str, Sequence[str]]:
        metadata: dict[str, Sequence[str]] = {}
        if self._spec.view is not None:
            metadata["view"] = [projection_of(cell) for cell in table.column(self._spec.view.column)]
        for name in self._spec.subgroup_columns:
            cells = table.column(name)
            metadata[shown_name(name)] = [
                "" if is_blank(cell, self._missing) else cell.strip() for cell in cells
            ]
        if self._spec.age_column:
            cells = table.column(self._spec.age_column)
            is_comma = self._spec.decimal_mark == "Comma"
            metadata[ages.COLUMN] = [cell.replace(",", ".") if is_comma else cell for cell in cells]
        return {
            name: Cells.of(map(ages.age_in_years, cells)) if ages.is_age_column(name) else Cells.of(cells)
            for name, cells in metadata.items()
        }


def _numbers(table: RawTable, rows: Collection[int]) -> list[int]:
    return [table.number(row) for row in sorted(rows)]
