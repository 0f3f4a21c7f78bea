"""What films and tables hold, as identities see it: digests of a declaration, and of what it answers to a task.

Two looks give one digest exactly when ingest, and whoever reads labels, would get the same. Rows that are left out, columns
that nobody reads and files beside the films do not count.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Dataset
from chex_api.identity import identity_of, relevant
from chex_jobs.artifacts.storage import open_storage
from chex_jobs.data.records import FilmRecord, FilmTable

Contents = Mapping[str, str]
"""What each film's file holds, by the film's key: equal texts say equal content. A film that is not there has none."""


def film_contents(
    dataset: Dataset, films: Sequence[FilmRecord], on_looked_at: Callable[[int], None] = lambda _: None
) -> Contents:
    """Return the contents of films, each looked at once, and of no file beside them.

    Args:
        dataset: whose films they are.
        films: what its source declares.
        on_looked_at: called with the number of films looked at so far.

    Raises:
        ArtifactError: storage fails.
    """
    keys = list(dict.fromkeys(film.key for film in films))
    if dataset.source.phantom is not None:
        made = identity_of(relevant(dataset.source.phantom))
        return {key: f"{made}:{key}" for key in keys}
    _, source = dataset.source.member()
    infos = open_storage(source.uri).infos(keys, on_looked_at)
    return {key: f"{info.size}:{info.etag}" for key, info in infos.items()}


def films_digest(table: FilmTable, contents: Contents) -> str:
    """Return the SHA-256 over everything that ingest reads of a data set's films: who, what, which report, which picture."""
    digest = hashlib.sha256()
    names = sorted(table.metadata)
    digest.update(_line(names))
    for row, film in enumerate(table.films):
        told = [film.key, film.patient, film.study, film.view, film.report, film.official]
        cells = [table.metadata[name][row] for name in names]
        digest.update(_line([*told, contents.get(film.key), *cells]))
    return digest.hexdigest()


def labels_digest(films: Sequence[FilmRecord], values: npt.NDArray[np.float32]) -> str:
    """Return the SHA-256 over the answers to one task, by film."""
    digest = hashlib.sha256()
    for film, value in zip(films, values.tolist(), strict=True):
        digest.update(_line([film.key, None if value != value else value]))
    return digest.hexdigest()


def _line(parts: Sequence[object]) -> bytes:
    return json.dumps(parts).encode() + b"\n"
