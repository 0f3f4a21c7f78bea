"""NIH ChestX-ray14: 112,120 frontal films of 30,805 patients of the NIH Clinical Center, 1992 to 2015.

- Published at the NIH Clinical Center's Box folder and on Google Cloud; free to use with credit to the centre.
- `Data_Entry_2017_v2020.csv` (or the earlier `Data_Entry_2017.csv`), films below `images/` or `images_001/images/` to
  `images_012/images/`, and the official `train_val_list.txt` and `test_list.txt`, which part patients.
- The last two names of the header contain a comma that is not quoted, so the header has as many fields as the rows
  and each of the two columns is two: `OriginalImage[Width`, `Height]`, `OriginalImagePixelSpacing[x`, `y]`.
- Labels were mined from reports (which are not published), more than one in a cell, parted by `|`; 1 means that the
  finding is listed, 0 that it is not, and a blank cell is not known. `No Finding` is a value like any other.
- All films are 1024 x 1024 PNG; some are RGBA. PA 67,310, AP 44,810. Some ages are typing errors (up to 414).
- RSNA's pneumonia films are films of this set under other names.
"""

from collections.abc import Collection

from chex_api.dataset import NihChestXray14
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.data.errors import SourceError
from chex_jobs.data.records.ages import age_in_years
from chex_jobs.data.records.film_table import FilmTable
from chex_jobs.data.records.films import FilmRecord, Films
from chex_jobs.data.records.views import projection_of, view_of
from chex_jobs.data.sources import folder
from chex_jobs.data.splits.assignment import OFFICIAL_TRAIN, TEST, UNUSED
from chex_jobs.data.tables.columns import ColumnFormat, is_blank

TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
TRAIN_LIST = "train_val_list.txt"
TEST_LIST = "test_list.txt"
FORMATS = {"Finding Labels": ColumnFormat(separators="|", unknown=frozenset({""}))}


class NihChestXray14Source:
    """Reads NIH ChestX-ray14 as published, or any part of it whose table names only films that are there."""

    def __init__(self, spec: NihChestXray14) -> None:
        self._storage = open_storage(spec.uri)

    def films(self, columns: Collection[str]) -> FilmTable:
        """See `chex_jobs.data.records.film_table.Source`."""
        table = folder.read_table(self._storage, TABLES)
        there = self._storage.stamps()
        official = self._official()
        names = table.column("Image Index")
        # Archives unpack into `images/` or into twelve numbered folders.
        key_of = folder.keys_by_name(self._storage, there, names)
        keys = [key_of.get(name, f"images/{name}") for name in names]
        order = sorted(range(table.num_rows), key=lambda row: (keys[row], row))
        table, keys = table.select(order), [keys[row] for row in order]
        patients, visits = table.column("Patient ID"), table.column("Follow-up #")
        positions = table.column("View Position")
        films = Films.of(
            FilmRecord(
                key=key,
                patient="" if is_blank(patient) else patient.strip(),
                study=visit.strip(),
                view=view_of(position, ("PA", "AP"), ()),
                size_bytes=there.get(key, folder.ABSENT).size,
                mark=there.get(key, folder.ABSENT).mark,
                official=official.get(name, UNUSED),
                row=table.number(row),
            )
            for row, (key, name, patient, visit, position) in enumerate(
                zip(keys, table.column("Image Index"), patients, visits, positions, strict=True)
            )
        )
        return FilmTable(
            films=films,
            columns={name: table.column(name) for name in columns},
            formats=FORMATS,
            metadata={
                "view": [projection_of(cell) for cell in positions],
                "sex": [folder.sex(cell) for cell in table.column("Patient Gender")],
                "age": [age_in_years(cell) for cell in table.column("Patient Age")],
            },
        )

    def reader(self) -> folder.FileReader:
        """See `chex_jobs.data.records.film_table.Source`."""
        return folder.FileReader(self._storage)

    def _official(self) -> dict[str, str]:
        """Return the published part of each film by name; none if neither list is there."""
        train, test = (
            folder.read_lines(self._storage, TRAIN_LIST),
            folder.read_lines(self._storage, TEST_LIST),
        )
        if train is None and test is None:
            return {}
        if train is None or test is None:
            absent = TRAIN_LIST if train is None else TEST_LIST
            raise SourceError(f"{self._storage.uri} has one of the two official lists but no {absent}.")
        both = set(train) & set(test)
        if both:
            raise SourceError(
                f"{TRAIN_LIST} and {TEST_LIST} share {len(both)} films; get the published lists again."
            )
        return dict.fromkeys(train, OFFICIAL_TRAIN) | dict.fromkeys(test, TEST)
