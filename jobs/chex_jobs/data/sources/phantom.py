"""Generated films and reports: `chex_jobs.data.phantom` as a source. Each finding is a column of `1` and `0`."""

import functools
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Phantom
from chex_jobs.data.phantom.findings import FINDING_NAMES
from chex_jobs.data.phantom.generator import PhantomArchive
from chex_jobs.data.phantom.settings import FindingPrevalence, PhantomSettings
from chex_jobs.data.records.film_table import MADE, FilmTable
from chex_jobs.data.records.films import FilmRecord, Films
from chex_jobs.data.records.views import view_of
from chex_jobs.data.tables.raw_table import RawTable

FILE = "the phantom's table"


@dataclass(frozen=True, slots=True)
class PhantomReader:
    """Makes films from the settings and their number; each process draws the population once."""

    settings: PhantomSettings

    def read(self, key: str) -> npt.NDArray[np.uint8]:
        """Return a film, uint8 [H, W]."""
        archive = _archive(self.settings)
        return archive.film(archive.index_of(key))


class PhantomSource:
    """A generated archive, as large as the manifest says."""

    def __init__(self, spec: Phantom) -> None:
        self._spec = spec
        self._settings = PhantomSettings(
            patients=spec.patients,
            films_per_patient=spec.films_per_patient,
            size=spec.size,
            hospital=spec.hospital,
            reports=spec.reports,
            seed=spec.seed,
            prevalence=tuple(
                FindingPrevalence(finding=given.finding, prevalence=given.prevalence)
                for given in spec.prevalence
            ),
        )

    def films(self, columns: Collection[str]) -> FilmTable:
        """See `chex_jobs.data.records.film_table.Source`."""
        archive = _archive(self._settings)
        rows = [archive.row(number) for number in range(len(archive))]
        found = {name: ["1" if row.findings[name] else "0" for row in rows] for name in FINDING_NAMES}
        table = RawTable(FILE, found, len(rows))
        return FilmTable(
            films=Films.of(
                FilmRecord(
                    key=row.key,
                    patient=row.patient,
                    study=row.study,
                    view=view_of(row.view, ("AP", "PA"), ()),
                    size_bytes=MADE,
                    report=archive.report(number),
                    row=number + 1,
                )
                for number, row in enumerate(rows)
            ),
            columns={name: table.column(name) for name in columns},
            metadata={
                "view": [row.view for row in rows],
                "sex": [row.sex for row in rows],
                "age": [str(row.age) for row in rows],
                "device": [row.device for row in rows],
            },
        )

    def reader(self) -> PhantomReader:
        """See `chex_jobs.data.records.film_table.Source`."""
        return PhantomReader(self._settings)


@functools.lru_cache(maxsize=4)
def _archive(settings: PhantomSettings) -> PhantomArchive:
    return PhantomArchive(settings)
