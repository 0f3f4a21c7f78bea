"""`run_preflight`: look at everything outside the manifest once, and either name all that is wrong or give the digests."""

from dataclasses import dataclass, field

from chex_api.dataset import Dataset
from chex_api.faults import Fault
from chex_api.job import ChexTrainingJob, JobSpec
from chex_api.plan import Location, locations
from chex_jobs.artifacts import ArtifactError, ArtifactStore
from chex_jobs.data.columns import ColumnError
from chex_jobs.data.digest import SourceDigest, digest_folder, digest_source
from chex_jobs.data.records import FilmTable, SourceError
from chex_jobs.data.sources import open_source
from chex_jobs.data.splits import NO_FOLD, TEST, TRAIN, VALIDATE, SplitError, assign
from chex_jobs.preflight.leakage import Inventory, leakage_faults, patient_domain


class PreflightFailed(Exception):
    """Something outside the manifest is not as the manifest says. All that was found is in `faults`."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True)
class DatasetCounts:
    """How many films and patients a data set declares."""

    films: int
    patients: int
    training_films: int


@dataclass(frozen=True)
class PreflightReport:
    """What preflight saw. `digests` has an entry for each of `chex_api.plan.locations`."""

    digests: dict[str, str] = field(default_factory=dict)
    counts: dict[str, DatasetCounts] = field(default_factory=dict)


def run_preflight(job: ChexTrainingJob) -> PreflightReport:
    """Look at sources, weights and storage. Raises `PreflightFailed` with every fault found."""
    spec = job.spec
    faults: list[Fault] = []
    faults.extend(_storage_faults(spec))
    digests: dict[str, str] = {}
    source_digests: dict[str, SourceDigest] = {}
    for location in locations(spec):
        try:
            if location.key.startswith("datasets/"):
                found = digest_source(spec.dataset(location.key.removeprefix("datasets/")).source)
                source_digests[location.key] = found
                digests[location.key] = found.digest
            else:
                digests[location.key] = digest_folder(location.uri)
        except (ArtifactError, SourceError) as error:
            faults.append(Fault(_path_of(location, spec), str(error)))
    counts: dict[str, DatasetCounts] = {}
    inventories: dict[str, Inventory] = {}
    for index, dataset in enumerate(spec.datasets):
        key = f"datasets/{dataset.name}"
        if dataset.source.phantom is None and key not in source_digests:
            continue
        try:
            counts[dataset.name], inventories[dataset.name] = _take_inventory(dataset, spec.seed, source_digests.get(key))
        except (SourceError, ColumnError, SplitError, ArtifactError) as error:
            faults.append(Fault(f"spec.datasets[{index}]", str(error)))
    if not faults:
        faults.extend(leakage_faults(spec, inventories))
    if faults:
        raise PreflightFailed(faults)
    return PreflightReport(digests, counts)


def _storage_faults(spec: JobSpec) -> list[Fault]:
    """Artifacts must be writable, and the storage must refuse a second put of a manifest: all else rests on that."""
    try:
        storage = ArtifactStore.open(spec.artifacts.uri).storage
        if not storage.honours_put_if_absent():
            message = "ignores `If-None-Match: *` (a second put of one object was not refused); use a storage that honours it"
            return [Fault("spec.artifacts.uri", message)]
    except ArtifactError as error:
        return [Fault("spec.artifacts.uri", str(error))]
    return []


def _take_inventory(dataset: Dataset, seed: int, digest: SourceDigest | None) -> tuple[DatasetCounts, Inventory]:
    table = open_source(dataset.source).films({task.column for task in dataset.tasks})
    etags = digest.etags if digest is not None else {}
    with_patient = [film for film in table.films if film.patient]
    patients = [film.patient for film in with_patient]
    assignment = assign(dataset.split, seed, patients, [film.official for film in with_patient])
    training, held_out = set[str](), set[str]()
    training_films, held_out_films = set[str](), set[str]()
    for film, part, fold in zip(with_patient, assignment.split, assignment.fold, strict=True):
        etag = etags.get(film.key)
        if part == TRAIN:
            training.add(film.patient)
            if etag:
                training_films.add(etag)
        elif part in (VALIDATE, TEST) or fold != NO_FOLD:
            held_out.add(film.patient)
            if etag:
                held_out_films.add(etag)
    inventory = Inventory(
        patient_domain(dataset), frozenset(training), frozenset(held_out), frozenset(training_films), frozenset(held_out_films)
    )
    return _counts(table, assignment.split), inventory


def _counts(table: FilmTable, parts: tuple[str, ...]) -> DatasetCounts:
    return DatasetCounts(
        films=len(table.films),
        patients=len({film.patient for film in table.films}),
        training_films=sum(part == TRAIN for part in parts),
    )


def _path_of(location: Location, spec: JobSpec) -> str:
    if location.key.startswith("datasets/"):
        name = location.key.removeprefix("datasets/")
        index = [dataset.name for dataset in spec.datasets].index(name)
        return f"spec.datasets[{index}].source"
    return "spec." + location.key.split("/weights/")[0].replace("/", ".")
