"""Leakage: no validation or test patient, and no film of theirs, may be in a set that is pretrained on.

Patients are compared inside a patient domain only: ids are local to where they were given, and a 165 of one source and a
165 of another are different people. Films are compared everywhere, by their content.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chex_api.dataset import Dataset
from chex_api.faults import Fault
from chex_api.job import JobSpec


@dataclass(frozen=True)
class Inventory:
    """Who and what a data set holds, by part. Private: patient ids and film contents never leave this module's checks."""

    domain: str
    training_patients: frozenset[str]
    held_out_patients: frozenset[str]
    """Patients that validate or test; with folds, everyone."""
    training_films: frozenset[str]
    """ETags of the training films; empty for generated films."""
    held_out_films: frozenset[str]


def leakage_faults(spec: JobSpec, inventories: dict[str, Inventory]) -> Iterator[Fault]:
    """Every pair of a pretraining set and a hospital that share held-out patients or films. Messages hold counts only."""
    hospital_datasets = {hospital.dataset: hospital.name for hospital in spec.hospitals}
    for index, run in enumerate(spec.pretraining):
        trained = inventories[run.dataset]
        for dataset, hospital in hospital_datasets.items():
            held_out = inventories[dataset]
            path = f"spec.pretraining[{index}].dataset"
            if trained.domain == held_out.domain:
                patients = len(trained.training_patients & held_out.held_out_patients)
                if patients:
                    yield Fault(
                        path,
                        f"{patients} of its training patients validate or test hospital {hospital!r} (data set {dataset!r}); "
                        "split both by the same shares, or leave these patients out with `where`",
                    )
            films = len(trained.training_films & held_out.held_out_films)
            if films:
                yield Fault(
                    path,
                    f"{films} of its training films are also validation or test films of hospital {hospital!r} (data set "
                    f"{dataset!r}); remove them from the archive",
                )


def patient_domain(dataset: Dataset) -> str:
    """The domain in which a data set's patient ids are unique."""
    if dataset.patient_domain:
        return f"domain:{dataset.patient_domain}"
    kind, source = dataset.source.member()
    if dataset.source.phantom is not None:
        return f"phantom:{dataset.source.phantom.hospital}:{dataset.source.phantom.seed}"
    return f"{kind}:{getattr(source, 'uri', '').rstrip('/')}"
