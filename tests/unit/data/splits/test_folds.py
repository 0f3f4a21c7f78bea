"""Dealing patients out to folds."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chex_api.dataset import Split
from chex_jobs.data.splits.assignment import UNUSED, assign
from chex_jobs.data.splits.folds import deal_out, outcomes_of_patients

NAN = float("nan")


def lacking(outcomes: np.ndarray, folds: np.ndarray, num_folds: int) -> int:
    """Folds and outcomes without a patient, although there are as many of it as folds."""
    counts = np.stack([outcomes[folds == fold].sum(axis=0) for fold in range(num_folds)])
    return int(((counts == 0) & (outcomes.sum(axis=0) >= num_folds)).sum())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 12), st.integers(0, 12))
def test_no_fold_lacks_an_outcome_that_could_have_had_it_and_sizes_are_equal(seed, num_folds, num_outcomes):
    rng = np.random.default_rng(seed)
    num_patients = int(rng.integers(num_folds, 150))
    outcomes = rng.random((num_patients, num_outcomes)) < rng.uniform(0.02, 0.6, num_outcomes)
    folds = deal_out(outcomes, num_folds)
    sizes = np.bincount(folds, minlength=num_folds)
    assert sizes.max() - sizes.min() <= 1
    assert lacking(outcomes, folds, num_folds) == 0


def test_a_rare_outcome_is_spread_as_evenly_as_it_can_be():
    outcomes = np.arange(97)[:, None] < [[22, 60]]
    folds = deal_out(outcomes, 5)
    for outcome in outcomes.T:
        counts = np.bincount(folds[outcome], minlength=5)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("seed", range(40))
def test_no_other_way_of_dealing_seven_patients_out_leaves_fewer_gaps(seed):
    rng = np.random.default_rng(seed)
    outcomes = rng.random((7, 3)) < 0.55
    ways = (np.array(way) for way in product(range(3), repeat=7))
    fewest = min(
        lacking(outcomes, way, 3) for way in ways if sorted(np.bincount(way, minlength=3)) == [2, 2, 3]
    )
    assert lacking(outcomes, deal_out(outcomes, 3), 3) == fewest


def test_negative_is_dealt_out_for_films_and_for_patients():
    labels = {"icu": [1.0, 0.0, 0.0, NAN, NAN]}
    found = outcomes_of_patients(labels, ["a", "a", "b", "b", "c"], ["a", "b", "c"])
    assert found.tolist() == [[True, True, False], [False, True, True], [False, False, False]]


def films(num_patients: int = 60, positives: int = 7) -> tuple[list[str], dict[str, list[float]]]:
    patients = [f"p{number}" for number in range(num_patients) for _ in range(2)]
    return patients, {"icu": [float(int(each[1:]) < positives) for each in patients]}


@pytest.mark.parametrize("seed", range(10))
def test_every_fold_of_a_split_has_positive_patients(seed):
    patients, labels = films()
    found = assign(Split.parse({"groupedFolds": 5}), seed, patients, [UNUSED] * len(patients), labels)
    positive = np.array(labels["icu"]) == 1
    assert set(found.fold[positive]) == set(range(5))


def test_folds_follow_from_seed_and_content_and_not_from_the_order_of_rows():
    patients, labels = films()
    split = Split.parse({"groupedFolds": 5})

    def by_patient(order: list[int], seed: int = 0) -> dict[str, int]:
        chosen = [patients[row] for row in order]
        values = {"icu": [labels["icu"][row] for row in order]}
        folds = assign(split, seed, chosen, [UNUSED] * len(order), values).fold
        return dict(zip(chosen, folds.tolist(), strict=True))

    rows = list(range(len(patients)))
    assert by_patient(rows) == by_patient(rows[::-1])
    assert by_patient(rows) != by_patient(rows, seed=1)
