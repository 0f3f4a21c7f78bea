"""`run_preflight`: look at everything outside the manifest once, and either name all that is wrong or give the digests."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from chex_api.dataset import Dataset
from chex_api.faults import Fault
from chex_api.identity import identity_of
from chex_api.job import ChexTrainingJob, JobSpec
from chex_api.plan import Location, field_path, locations, used_datasets, used_tasks
from chex_api.sizes import size_faults
from chex_jobs.artifacts import ArtifactError, ArtifactStore, StorageUnavailable, open_storage
from chex_jobs.data.errors import DataError, SourceError
from chex_jobs.data.splits.assignment import TEST, TRAIN, UNUSED, VALIDATE, assign
from chex_jobs.preflight.leakage import Inventory, Part, leakage_faults
from chex_jobs.preflight.looking import Look, look_at
from chex_jobs.preflight.outlook import DatasetOutlook, not_trained, outlook_of
from chex_jobs.preflight.towers import tower_errors

_EVERY_PART = "every part"
"""Where a patient of a data set with folds is: each trains, validates and tests, in another fold."""


class PreflightFailed(Exception):
    """Something outside the manifest is not as the manifest says. All that was found is in `faults`.

    `user_error` is false where storage did not answer: another try may find everything well.
    """

    def __init__(self, faults: list[Fault], *, user_error: bool = True) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
        self.user_error = user_error


@dataclass(frozen=True)
class PreflightReport:
    """What preflight saw. `digests` has an entry for each of `chex_api.plan.digest_keys`."""

    digests: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, DatasetOutlook] = field(default_factory=dict)
    to_decode: dict[str, int] = field(default_factory=dict)
    """By data set, films that no finished ingest has decoded; only where that was asked for."""
    not_trained: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By hospital, the tasks that no model of it can learn."""


def run_preflight(
    job: ChexTrainingJob,
    on_looked_at: Callable[[str, int, int], None] = lambda _name, _done, _total: None,
    *,
    with_work_left: bool = False,
) -> PreflightReport:
    """Look at sources, weights and storage. Raises `PreflightFailed` with every fault found.

    Args:
        job: a valid manifest.
        on_looked_at: called with a data set's name and the number of its films whose content is known, and of all.
        with_work_left: whether to find out how many films are left to decode.
    """
    spec = job.spec
    found = _Faults()
    _check_storage(spec, found)
    digests: dict[str, str] = {}
    for location in locations(spec):
        if location.key.startswith("datasets/"):
            continue
        try:
            digests[location.key] = _digest_of_weights(location)
        except (ArtifactError, DataError) as error:
            found.add(field_path(spec, location), error)
    datasets: dict[str, DatasetOutlook] = {}
    to_decode: dict[str, int] = {}
    inventories: dict[str, Inventory] = {}
    used = {dataset.name for dataset in used_datasets(spec)}
    for index, dataset in enumerate(spec.datasets):
        if dataset.name not in used:
            continue
        try:
            seen = _seen(spec, dataset, partial(on_looked_at, dataset.name), with_work_left=with_work_left)
        except (ArtifactError, DataError) as error:
            found.add(f"spec.datasets[{index}]", error)
            continue
        if isinstance(seen, list):
            found.faults.extend(Fault(f"spec.datasets[{index}]", *told) for told in seen)
            continue
        datasets[dataset.name], inventories[dataset.name] = seen.outlook, seen.inventory
        to_decode |= {dataset.name: seen.to_decode} if with_work_left else {}
        digests |= seen.digests
    if not found.faults:
        found.faults.extend(leakage_faults(spec, inventories))
    found.faults.extend(_size_faults(spec, datasets))
    for path, error in tower_errors(spec):
        found.add(path, error)
    if found.faults:
        raise PreflightFailed(found.faults, user_error=found.user_error)
    return PreflightReport(digests, datasets, to_decode, not_trained(spec, datasets))


@dataclass(frozen=True)
class _Seen:
    """What is kept of a look at a data set: of a large one the look itself takes most of the memory."""

    outlook: DatasetOutlook
    inventory: Inventory
    to_decode: int
    digests: dict[str, str]


def _seen(
    spec: JobSpec, dataset: Dataset, on_looked_at: Callable[[int, int], None], *, with_work_left: bool
) -> _Seen | list[tuple[str, str]]:
    """Look at a data set: what is to be known of it, or all that is wrong with it, each with an example."""
    look = look_at(dataset, on_looked_at)
    faults = list(look.faults(dataset, spec.seed))
    if faults:
        return faults
    store = ArtifactStore.open(spec.artifacts.uri)
    return _Seen(
        outlook=outlook_of(spec, dataset, look),
        inventory=_take_inventory(dataset, spec.seed, look),
        to_decode=look.to_decode(dataset, store) if with_work_left else 0,
        digests=look.digests(dataset, used_tasks(spec, dataset)) if not dataset.source.is_generated else {},
    )


def _size_faults(spec: JobSpec, datasets: Mapping[str, DatasetOutlook]) -> Iterator[Fault]:
    """By what the sources declare; films that cannot be decoded are left out later, and the training looks again."""
    for index, run in enumerate(spec.pretraining):
        if run.dataset in datasets:
            there = datasets[run.dataset]
            yield from size_faults(
                f"spec.pretraining[{index}]",
                run.objective,
                run.optimization.global_batch_size,
                there.training_films,
                there.training_units,
            )


@dataclass
class _Faults:
    """What is wrong so far, and whether all of it was answered for."""

    faults: list[Fault] = field(default_factory=list)
    user_error: bool = True

    def add(self, path: str, error: Exception) -> None:
        self.faults.append(Fault(path, str(error)))
        self.user_error &= not isinstance(error, StorageUnavailable)


def _check_storage(spec: JobSpec, found: _Faults) -> None:
    """Artifacts must be writable, and the storage must refuse a second put of a manifest: all else rests on that."""
    try:
        storage = ArtifactStore.open(spec.artifacts.uri).storage
        if not storage.honours_put_if_absent():
            message = "ignores `If-None-Match: *` (a second put of one object was not refused); use a storage that honours it"
            found.faults.append(Fault("spec.artifacts.uri", message))
    except ArtifactError as error:
        found.add("spec.artifacts.uri", error)


def _digest_of_weights(location: Location) -> str:
    """SHA-256 over every file of a folder of weights."""
    storage = open_storage(location.uri)
    infos = storage.infos(storage.sizes())
    listed = [[infos[key].key, infos[key].size, infos[key].etag] for key in sorted(infos, key=os.fsencode)]
    if not listed:
        raise SourceError(f"{location.uri} holds no file; it must be a folder of weights")
    return identity_of(listed)


def _take_inventory(dataset: Dataset, seed: int, look: Look) -> Inventory:
    declared = look.declaration
    rows = np.arange(len(declared.table.films))
    rows = rows[~np.isin(rows, list(declared.faults))]
    films = declared.table.films.select(rows)
    assignment = assign(dataset.split, seed, films.patients, films.officials)
    part_of = np.array(assignment.split if not assignment.num_folds else [_EVERY_PART] * len(rows))
    numbers, patients = films.patients.numbered()
    ids = list(patients)
    is_made = dataset.source.is_generated  # generated films have no files
    contents = [] if is_made else list(look.contents.select(rows))

    def of(*parts: str) -> Part:
        chosen = np.isin(part_of, (*parts, _EVERY_PART)).nonzero()[0]
        return Part(
            frozenset(ids[number] for number in np.unique(numbers[chosen])),
            frozenset(contents[place] for place in chosen if contents[place]) if contents else frozenset(),
        )

    return Inventory(dataset.domain(), of(TRAIN), of(VALIDATE), of(TEST), of(TRAIN, VALIDATE, TEST, UNUSED))
