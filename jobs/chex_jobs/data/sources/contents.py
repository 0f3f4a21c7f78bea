"""What films and tables hold, as identities see it: digests of a declaration, and of what it answers to a task.

Two looks give one digest exactly when ingest, and whoever reads labels, would get the same. Rows that are left out, columns
that nobody reads and files beside the films do not count.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Dataset, FileSource
from chex_api.identity import identity_of, relevant
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.storage import Storage
from chex_jobs.data.records.film_table import FilmTable
from chex_jobs.data.records.films import Films
from chex_jobs.data.tables.cells import Cells

Contents = Cells[str]
"""What each film's file holds, [N] by place: equal texts say equal content. A film that is not there has an empty one."""


def film_contents(
    dataset: Dataset, films: Films, on_looked_at: Callable[[int], None] = lambda _: None
) -> Contents:
    """Return the contents of films, each looked at once, and of no file beside them.

    Args:
        dataset: whose films they are.
        films: what its source declares.
        on_looked_at: called with the number of films looked at so far.

    Raises:
        ArtifactError: storage fails.
    """
    source = dataset.source.settings
    if isinstance(source, FileSource):
        return Cells.of(_looked_at(open_storage(source.uri), films.keys, on_looked_at))
    made = identity_of(relevant(source))  # nothing lies anywhere: the settings say all
    return Cells.of(f"{made}:{key}" for key in films.keys)


def _looked_at(storage: Storage, keys: Sequence[str], on_looked_at: Callable[[int], None]) -> Iterator[str]:
    """Yield what each key holds; as many are looked at together as their storage looks at best."""
    done = 0
    for start in range(0, len(keys), storage.looked_at_together):
        some = list(keys[start : start + storage.looked_at_together])
        infos = storage.infos(dict.fromkeys(some), lambda looked, before=done: on_looked_at(before + looked))
        done += len(some)
        for key in some:
            info = infos.get(key)
            yield "" if info is None else f"{info.size}:{info.etag}"


def films_digest(table: FilmTable, contents: Contents) -> str:
    """Return the SHA-256 over everything that ingest reads of a data set's films: who, what, which report, which picture."""
    digest = hashlib.sha256()
    names = sorted(table.metadata)
    digest.update(_line(names))
    metadata = (table.metadata[name] for name in names)
    for film, content, *cells in zip(table.films, contents, *metadata, strict=True):
        told = [film.key, film.patient, film.study, film.view, film.report, film.official]
        digest.update(_line([*told, content or None, *cells]))
    return digest.hexdigest()


def labels_digest(films: Films, values: npt.NDArray[np.float32]) -> str:
    """Return the SHA-256 over the answers to one task, by film."""
    digest = hashlib.sha256()
    for key, value in zip(films.keys, values.tolist(), strict=True):
        digest.update(_line([key, None if value != value else value]))
    return digest.hexdigest()


def _line(parts: Sequence[object]) -> bytes:
    return json.dumps(parts).encode() + b"\n"
