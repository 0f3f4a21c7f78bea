"""One look at a data set: its tables read once, each of its films looked at once, nothing beside them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chex_api.dataset import Dataset
from chex_api.plan import label_key
from chex_jobs.data.contents import Contents, film_contents, films_digest, labels_digest
from chex_jobs.data.declaration import Declaration, declare


@dataclass(frozen=True)
class Look:
    """What a data set declares, and what its films hold by key. Private: names of files and people."""

    declaration: Declaration
    contents: Contents

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
