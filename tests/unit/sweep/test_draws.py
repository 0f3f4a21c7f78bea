from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_jobs.sweep.draws import LabelSet, draws_of, sample

NAN = np.float32("nan")


def hospital(
    num_patients: int = 200, prevalence: float = 0.2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """One to three films for each patient; one common and one rare task."""
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(num_patients), generator.integers(1, 4, num_patients))
    sick = generator.random(num_patients) < prevalence
    rare = generator.random(num_patients) < 0.03
    labels = np.stack([sick[patients], rare[patients]], axis=1).astype(np.float32)
    return patients.astype(np.int64), labels


def drawn(fraction: float, draw: int = 0, role: str = "train", seed: int = 5) -> set[int]:
    patients, labels = hospital()
    mask = sample(patients, labels, LabelSet(fraction, draw), seed=seed, role=role)
    return set(patients[mask].tolist())


def test_smaller_fractions_are_nested_in_larger_ones() -> None:
    nested = [drawn(fraction) for fraction in (0.05, 0.1, 0.3, 0.7, 1.0)]
    assert all(small < large for small, large in pairwise(nested))


def test_a_patient_is_drawn_with_all_films_or_none() -> None:
    patients, labels = hospital()
    mask = sample(patients, labels, LabelSet(0.3, 0), seed=5, role="train")
    assert not set(patients[mask]) & set(patients[~mask])


def test_a_fraction_holds_that_share_of_the_patients() -> None:
    assert len(drawn(0.1)) == 20
    assert len(drawn(0.5)) == 100
    assert len(drawn(1.0)) == 200


def test_draws_seeds_and_roles_differ() -> None:
    reference = drawn(0.3)
    assert drawn(0.3, draw=1) != reference
    assert drawn(0.3, seed=6) != reference
    assert drawn(0.3, role="validate") != reference


def test_prevalence_of_a_draw_is_that_of_the_whole() -> None:
    patients, labels = hospital(1000)
    for draw in range(5):
        mask = sample(patients, labels, LabelSet(0.2, draw), seed=0, role="train")
        share = len(set(patients[mask & (labels[:, 0] == 1)])) / len(set(patients[mask]))
        whole = len(set(patients[labels[:, 0] == 1])) / 1000
        assert share == pytest.approx(whole, abs=0.02)


def test_the_smallest_sample_has_both_classes_of_every_task_that_has_them() -> None:
    patients, labels = hospital(60)
    mask = sample(patients, labels, LabelSet(0.01, 0), seed=3, role="train")
    for task in range(2):
        assert {0.0, 1.0} <= set(labels[mask, task].tolist())


def test_films_without_any_label_are_in_no_sample() -> None:
    patients = np.array([0, 1, 2, 3])
    labels = np.array([[1.0, NAN], [NAN, NAN], [NAN, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert sample(patients, labels, LabelSet(1.0, 0), seed=0, role="train").tolist() == [
        True,
        False,
        True,
        True,
    ]


def test_hospital_without_labels_has_an_empty_sample() -> None:
    labels = np.full((3, 1), NAN, dtype=np.float32)
    assert not sample(np.arange(3), labels, LabelSet(0.5, 0), seed=0, role="train").any()


def test_all_labels_can_be_drawn_once_only() -> None:
    assert list(draws_of(1.0, 3)) == [0]
    assert list(draws_of(0.1, 3)) == [0, 1, 2]


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.integers(0, 10), st.integers(0, 2**31))
def test_nesting_holds_for_any_two_fractions(first: float, second: float, draw: int, seed: int) -> None:
    patients, labels = hospital(40)
    small, large = sorted((first, second))
    inner = sample(patients, labels, LabelSet(small, draw), seed=seed, role="train")
    outer = sample(patients, labels, LabelSet(large, draw), seed=seed, role="train")
    assert not (inner & ~outer).any()
