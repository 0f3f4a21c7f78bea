"""Patients, never films, are split, and each patient's place follows from seed and id alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_api.dataset import Split
from chex_jobs.data.errors import SplitError
from chex_jobs.data.splits.assignment import (
    OFFICIAL_TRAIN,
    TEST,
    TRAIN,
    UNUSED,
    VALIDATE,
    Assignment,
    assign,
    roles,
)

PATIENTS = [f"patient-{number}" for number in range(2000)]
BY_PATIENT = {"patients": {"validate": 0.15, "test": 0.25}}
GOLDEN = (
    "train",
    "test",
    "train",
    "test",
    "train",
    "test",
    "test",
    "train",
    "train",
    "train",
    "train",
    "train",
)


def split(
    plain: dict[str, Any], patients: list[str], seed: int = 0, official: list[str] | None = None
) -> Assignment:
    return assign(Split.parse(plain), seed, patients, official or [UNUSED] * len(patients))


def part_of(assignment: Assignment, patients: list[str]) -> dict[str, str]:
    return dict(zip(patients, assignment.split, strict=True))


def data(assignment: Assignment) -> Any:
    return SimpleNamespace(
        split=np.array(assignment.split), fold=assignment.fold, num_folds=assignment.num_folds
    )


def test_shares_of_patients_come_out_as_asked():
    parts = np.array(split(BY_PATIENT, PATIENTS).split)
    for part, share in ((TRAIN, 0.6), (VALIDATE, 0.15), (TEST, 0.25)):
        assert (parts == part).mean() == pytest.approx(share, abs=0.03)


def test_a_golden_assignment_holds_so_that_no_released_split_ever_moves():
    assert split(BY_PATIENT, PATIENTS[:12]).split == GOLDEN


def test_a_patients_part_does_not_depend_on_other_patients_or_on_the_number_of_films():
    few = part_of(split(BY_PATIENT, PATIENTS[:50]), PATIENTS[:50])
    many = part_of(split(BY_PATIENT, PATIENTS[::-1] * 2), PATIENTS[::-1] * 2)
    assert all(many[patient] == part for patient, part in few.items())


def test_another_share_of_validation_moves_no_test_patient():
    before = part_of(split(BY_PATIENT, PATIENTS), PATIENTS)
    after = part_of(split({"patients": {"validate": 0.3, "test": 0.25}}, PATIENTS), PATIENTS)
    assert {p for p, part in before.items() if part == TEST} == {
        p for p, part in after.items() if part == TEST
    }
    assert {p for p, part in before.items() if part == VALIDATE} <= {
        p for p, part in after.items() if part == VALIDATE
    }


def test_another_seed_splits_otherwise():
    assert split(BY_PATIENT, PATIENTS, seed=1).split != split(BY_PATIENT, PATIENTS, seed=2).split


def test_shares_that_leave_nobody_to_train_are_refused():
    with pytest.raises(SplitError, match="leave nobody to train"):
        split({"patients": {"validate": 0.5, "test": 0.5}}, PATIENTS)


def test_folds_are_of_equal_size_and_hold_every_patient_once():
    assignment = split({"groupedFolds": 5}, PATIENTS[:52] * 3)
    assert sorted(np.bincount(assignment.fold[:52])) == [10, 10, 10, 11, 11]
    assert (assignment.fold[:52] == assignment.fold[52:104]).all()
    assert set(assignment.split) == {UNUSED}


def test_each_fold_tests_once_and_the_next_one_validates_meanwhile():
    assignment = split({"groupedFolds": 4}, PATIENTS[:40])
    tested = []
    for fold in range(4):
        train, validate, test = roles(data(assignment), fold)
        assert sorted([*train, *validate, *test]) == list(range(40))
        np.testing.assert_array_equal(validate, roles(data(assignment), (fold + 1) % 4).test)
        tested.extend(test)
    assert sorted(tested) == list(range(40))


def test_more_folds_than_patients_are_refused():
    with pytest.raises(SplitError, match="3 patients cannot fill 5 folds"):
        split({"groupedFolds": 5}, PATIENTS[:3])


def test_the_official_split_is_kept_and_validation_is_taken_from_its_training_patients():
    official = [OFFICIAL_TRAIN] * 1500 + [TEST] * 499 + [UNUSED]
    assignment = split({"official": {"validate": 0.2}}, PATIENTS, official=official)
    parts = np.array(assignment.split)
    assert set(parts[1500:1999]) == {TEST}
    assert parts[1999] == UNUSED
    assert (parts[:1500] == VALIDATE).mean() == pytest.approx(0.2, abs=0.03)
    assert 1999 not in np.concatenate(list(roles(data(assignment))))


def test_an_official_split_that_shares_patients_is_refused_without_naming_them():
    with pytest.raises(SplitError, match="1 of 2 patients") as caught:
        split({"official": {}}, ["anna", "anna", "ben"], official=[OFFICIAL_TRAIN, TEST, TEST])
    assert "anna" not in str(caught.value)


def test_an_official_split_without_lists_is_refused():
    with pytest.raises(SplitError, match="no published split"):
        split({"official": {}}, PATIENTS[:3])


def test_roles_of_a_fold_need_folds_and_the_other_way_round():
    with pytest.raises(SplitError, match="not split into groupedFolds"):
        roles(data(split(BY_PATIENT, PATIENTS[:9])), 0)
    for fold in (None, 3, -1):
        with pytest.raises(SplitError, match="folds 0 to 2"):
            roles(data(split({"groupedFolds": 3}, PATIENTS[:9])), fold)


@given(
    st.lists(st.integers(0, 40), min_size=5, max_size=120).map(
        lambda numbers: [f"p{number}" for number in numbers]
    ),
    st.integers(0, 2**31 - 1),
    st.sampled_from([BY_PATIENT, {"patients": {"validate": 0.4, "test": 0.4}}, {"groupedFolds": 3}]),
)
def test_no_patient_is_ever_in_two_parts(patients: list[str], seed: int, plain: dict[str, Any]):
    if "groupedFolds" in plain and len(set(patients)) < 3:
        return
    assignment = split(plain, patients, seed)
    places = set(zip(patients, assignment.split, assignment.fold.tolist(), strict=True))
    assert len(places) == len(set(patients))
