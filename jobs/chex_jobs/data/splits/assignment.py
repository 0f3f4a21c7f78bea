"""Which patients train, validate and test.

Patients, never films, are split. With `patients` and `official`, a patient's place depends on `spec.seed` and its own
id alone: new patients, new tasks or a changed filter never move anyone who was there before. With `groupedFolds`,
patients are dealt out by the outcomes of their films (`folds`), those alike in hash order, so that folds of a small
hospital have equal sizes and all its outcomes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Split
from chex_jobs.data.errors import SplitError
from chex_jobs.data.splits.folds import deal_out, outcomes_of_patients

TRAIN = "train"
VALIDATE = "validate"
TEST = "test"
UNUSED = ""
"""Belongs to no part: a film that the official lists do not name, or any film of a data set with folds."""

OFFICIAL_TRAIN = "train_val"
"""What a source calls the published part from which both training and validation patients are taken."""
NO_FOLD = -1


@dataclass(frozen=True, slots=True)
class Assignment:
    """The place of each film.

    Attributes:
        split: `TRAIN`, `VALIDATE`, `TEST` or `UNUSED`, by film.
        fold: int32 [N], fold in which the film tests, or `NO_FOLD`.
        num_folds: 0 when there are no folds.
    """

    split: tuple[str, ...]
    fold: npt.NDArray[np.int32]
    num_folds: int


class SplitData(Protocol):
    """What `roles` needs to know of a data set; `ChestXrayDataset` is one."""

    split: npt.NDArray[np.str_]
    fold: npt.NDArray[np.int32]
    num_folds: int


@dataclass(frozen=True, slots=True)
class Roles:
    """Ordinals (int64, ascending) of the films with each role. Unpacks as `train, validate, test`."""

    train: npt.NDArray[np.int64]
    validate: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]

    def __iter__(self):
        return iter((self.train, self.validate, self.test))


def patient_hash(seed: int, patient: str) -> int:
    """Return 64 bits of SHA-256 over seed and patient id: the patient's place on a line from 0 to 2**64."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{patient}".encode()).digest()[:8], "big")


def assign(
    split: Split,
    seed: int,
    patients: Sequence[str],
    official: Sequence[str],
    labels: Mapping[str, npt.ArrayLike] | None = None,
) -> Assignment:
    """Assign every film to a part or fold, and check that no patient is in two.

    Args:
        split: the manifest's choice.
        seed: `spec.seed`.
        patients: patient id by film.
        official: published part by film (`OFFICIAL_TRAIN`, `TRAIN`, `VALIDATE`, `TEST` or `UNUSED`); only read by
            `official`.
        labels: by task, [N] by film: 1, 0 or NaN; only read by `groupedFolds`. None: there is no task.

    Raises:
        SplitError: shares that leave nobody to train, no published split, fewer patients than folds, or patients on
            two sides of a published split.
    """
    if split.patients is not None:
        by_patient = _by_threshold(seed, set(patients), split.patients.validate_, split.patients.test)
        parts = tuple(by_patient[patient] for patient in patients)
        assignment = Assignment(parts, _no_folds(len(parts)), 0)
    elif split.official is not None:
        parts = _official_parts(seed, patients, official, split.official.validate_)
        assignment = Assignment(parts, _no_folds(len(parts)), 0)
    else:
        assert split.grouped_folds is not None
        assignment = _folds(seed, patients, labels or {}, split.grouped_folds)
    check_patients_apart(patients, assignment.split, "split")
    check_patients_apart(patients, [str(fold) for fold in assignment.fold], "fold")
    return assignment


def roles(data: SplitData, fold: int | None = None) -> Roles:
    """Return who trains, validates and tests; with folds, fold f tests, fold (f + 1) % k validates, the rest train.

    Raises:
        SplitError: a fold is asked of a data set without folds, none of one with folds, or one out of range.
    """
    if data.num_folds == 0:
        if fold is not None:
            raise SplitError(f"fold {fold} was asked for, but this data set is not split into groupedFolds.")
        return Roles(*(np.flatnonzero(data.split == part) for part in (TRAIN, VALIDATE, TEST)))
    if fold is None or not 0 <= fold < data.num_folds:
        raise SplitError(
            f"this data set has folds 0 to {data.num_folds - 1}; a role needs one of them, not {fold}."
        )
    validating = (fold + 1) % data.num_folds
    training = (data.fold != fold) & (data.fold != validating) & (data.fold != NO_FOLD)
    return Roles(
        np.flatnonzero(training), np.flatnonzero(data.fold == validating), np.flatnonzero(data.fold == fold)
    )


def check_patients_apart(patients: Sequence[str], parts: Sequence[str], what: str) -> None:
    """Raise `SplitError` when films of one patient are in two parts. Films in `UNUSED` are in none."""
    first: dict[str, str] = {}
    shared: set[str] = set()
    for patient, part in zip(patients, parts, strict=True):
        if part != UNUSED and first.setdefault(patient, part) != part:
            shared.add(patient)
    if shared:
        raise SplitError(
            f"{len(shared)} of {len(first)} patients have films in more than one {what}: what is measured would be "
            "memory, not transfer. Split by patient: use split.patients or split.groupedFolds."
        )


def _by_threshold(seed: int, patients: set[str], validate: float, test: float) -> dict[str, str]:
    """Test lies below the first threshold and validation above it, so that a changed `validate` moves no test patient."""
    if validate + test >= 1.0:
        raise SplitError(
            f"split.patients: validate {validate} + test {test} leave nobody to train; keep them below 1."
        )
    test_below = int(test * 2**64)
    validate_below = int((test + validate) * 2**64)

    def part(patient: str) -> str:
        place = patient_hash(seed, patient)
        return TEST if place < test_below else VALIDATE if place < validate_below else TRAIN

    return {patient: part(patient) for patient in patients}


def _official_parts(
    seed: int, patients: Sequence[str], official: Sequence[str], validate: float
) -> tuple[str, ...]:
    if not any(official):
        raise SplitError(
            "split.official: the source has no published split (for NIH ChestX-ray14: train_val_list.txt and "
            "test_list.txt beside the CSV). Add the lists or use split.patients."
        )
    check_patients_apart(patients, official, "part of the official split")
    validate_below = int(validate * 2**64)

    def part(patient: str, published: str) -> str:
        if published != OFFICIAL_TRAIN:
            return published
        return VALIDATE if patient_hash(seed, patient) < validate_below else TRAIN

    return tuple(part(patient, published) for patient, published in zip(patients, official, strict=True))


def _folds(
    seed: int, patients: Sequence[str], labels: Mapping[str, npt.ArrayLike], num_folds: int
) -> Assignment:
    in_hash_order = sorted(set(patients), key=lambda patient: (patient_hash(seed, patient), patient))
    if len(in_hash_order) < num_folds:
        raise SplitError(f"split.groupedFolds: {len(in_hash_order)} patients cannot fill {num_folds} folds.")
    dealt = deal_out(outcomes_of_patients(labels, patients, in_hash_order), num_folds)
    fold_of = dict(zip(in_hash_order, dealt, strict=True))
    folds = np.array([fold_of[patient] for patient in patients], np.int32)
    return Assignment((UNUSED,) * len(patients), folds, num_folds)


def _no_folds(num_films: int) -> npt.NDArray[np.int32]:
    return np.full(num_films, NO_FOLD, np.int32)
