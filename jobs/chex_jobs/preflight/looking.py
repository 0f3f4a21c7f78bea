"""One look at a data set: its tables read once, each of its films looked at once, nothing beside them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from chex_api.dataset import Dataset
from chex_api.plan import label_key
from chex_jobs.data.contents import Contents, film_contents, films_digest, labels_digest
from chex_jobs.data.declaration import Declaration, declare
from chex_jobs.data.findings import Finding, Kind
from chex_jobs.data.quarantine import counts_by_reason


@dataclass(frozen=True)
class Look:
    """What a data set declares, and what its films hold by key. Private: names of files and people."""

    declaration: Declaration
    contents: Contents

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What people should know of it: rows that are left out, films that cannot be used."""
        left_out = self.declaration.table.left_out
        return (
            *(Finding(kind=Kind.LEFT_OUT, reason=reason, count=count) for reason, count in left_out.items()),
            *self._unusable_films(),
        )

    def _unusable_films(self) -> Iterator[Finding]:
        films, faults = self.declaration.table.films, self.declaration.faults
        for reason, count in counts_by_reason(faults.values()).items():
            first = next(row for row in sorted(faults) if faults[row].reason.value == reason)
            yield Finding(
                kind=Kind.UNUSABLE, reason=reason, count=count, private=f"such as {films[first].key!r}"
            )

    def example(self) -> str:
        """A film that cannot be used, by name; for the terminal only."""
        unusable = (finding for finding in self.findings if finding.kind is Kind.UNUSABLE)
        return next((finding.private for finding in unusable if finding.private), "")

    def unusable(self, dataset: Dataset) -> str:
        """Why ingest could not succeed, as far as tables and listings tell; empty where it may."""
        found, films = self.declaration.faults, len(self.declaration.table.films)
        if len(found) <= dataset.quarantine.max_share * films:
            return ""
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts_by_reason(found.values()).items())
        return (
            f"{len(found)} of {films} films ({len(found) / films:.1%}) cannot be used ({reasons}), and quarantine.maxShare allows "
            f"{dataset.quarantine.max_share:.1%}: correct the source or the paths to its films, or raise it"
        )

    def digests(self, dataset: Dataset, tasks: Iterable[str]) -> dict[str, str]:
        """The digests that the plan needs of a data set whose films are files: of its films, and of each task's labels."""
        table, labels = self.declaration.table, self.declaration.labels
        found = {f"datasets/{dataset.name}": films_digest(table, self.contents)}
        return found | {
            label_key(dataset.name, task): labels_digest(table.films, labels[task]) for task in tasks
        }


def look_at(dataset: Dataset, on_looked_at: Callable[[int, int], None] = lambda _done, _total: None) -> Look:
    """Look at a data set.

    Args:
        dataset: of the manifest.
        on_looked_at: called with the number of films whose content is known, and of all.

    Raises:
        DataError: not as the manifest says.
        ArtifactError: storage fails.
    """
    declaration = declare(dataset)
    films = declaration.table.films
    contents = film_contents(dataset, films, lambda done: on_looked_at(done, len(films)))
    return Look(declaration, contents)
