"""One look at a data set: its tables read once, each of its films looked at once, nothing beside them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from chex_api.dataset import Dataset
from chex_api.plan import label_key
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.data.errors import SplitError
from chex_jobs.data.ingest.takeover import fingerprint, taken_over
from chex_jobs.data.records.findings import Kind
from chex_jobs.data.sources.contents import Contents, film_contents, films_digest, labels_digest
from chex_jobs.data.sources.declaration import Declaration, survey
from chex_jobs.data.splits.assignment import assign
from chex_jobs.data.tables.cells import Cells


@dataclass(frozen=True)
class Look:
    """What a data set declares, and what its films hold, by row. Private: names of files and people."""

    declaration: Declaration
    contents: Contents

    def faults(self, dataset: Dataset, seed: int) -> Iterator[tuple[str, str]]:
        """Everything because of which the data set could not be ingested, each with an example for the terminal."""
        for contradiction in self.declaration.contradictions:
            yield str(contradiction), ""
        if unusable := self._unusable(dataset):
            yield unusable, self._example()
        films = self.declaration.table.films
        known = films.select([row for row, patient in enumerate(films.patients) if patient])
        try:
            assign(dataset.split, seed, known.patients, known.officials)
        except SplitError as error:
            yield str(error), ""

    def _unusable(self, dataset: Dataset) -> str:
        """Why too many films cannot be used, as far as tables and listings tell; empty where they may be enough."""
        found, films = self.declaration.faults, len(self.declaration.table.films)
        if len(found) <= dataset.quarantine.max_share * films:
            return ""
        told = [finding for finding in self.declaration.findings if finding.kind is Kind.UNUSABLE]
        reasons = ", ".join(
            f"{finding.reason} {finding.count}, such as row {finding.row}" for finding in told
        )
        return (
            f"{len(found)} of {films} films ({len(found) / films:.1%}) cannot be used ({reasons}), and quarantine.maxShare allows "
            f"{dataset.quarantine.max_share:.1%}: correct the source or the paths to its films, or raise it"
        )

    def _example(self) -> str:
        """A film that cannot be used, by name, with the nearest that is there; for the terminal only."""
        unusable = (finding for finding in self.declaration.findings if finding.kind is Kind.UNUSABLE)
        return next((finding.private for finding in unusable if finding.private), "")

    def to_decode(self, dataset: Dataset, store: ArtifactStore) -> int:
        """How many of its films no finished ingest of a storage has decoded yet."""
        faults = self.declaration.faults
        known = {
            fingerprint(content, dataset.stored_short_side)
            for row, content in enumerate(self.contents)
            if row not in faults and content
        }
        return len(known) - sum(1 for _ in taken_over(store, known))

    def digests(self, dataset: Dataset, tasks: Iterable[str]) -> dict[str, str]:
        """The digests that the plan needs of a data set whose films are files: of its films, and of each task's labels."""
        table, labels = self.declaration.table, self.declaration.labels
        found = {f"datasets/{dataset.name}": films_digest(table, self.contents)}
        return found | {
            label_key(dataset.name, task): labels_digest(table.films, labels[task]) for task in tasks
        }


def look_at(dataset: Dataset, on_looked_at: Callable[[int, int], None] = lambda _done, _total: None) -> Look:
    """Look at a data set. Where its table alone says that it cannot be ingested, no film is looked at.

    Args:
        dataset: of the manifest.
        on_looked_at: called with the number of films whose content is known, and of all.

    Raises:
        DataError: not as the manifest says.
        ArtifactError: storage fails.
    """
    declaration = survey(dataset)
    if declaration.contradictions or len(declaration.faults) > dataset.quarantine.max_share * len(
        declaration.table.films
    ):
        return Look(declaration, Cells.of(()))
    films = declaration.table.films
    contents = film_contents(dataset, films, lambda done: on_looked_at(done, len(films)))
    return Look(declaration, contents)
