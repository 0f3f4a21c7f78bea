"""AUROC and AUPRC against independent references, their symmetries, and where they are undefined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from chex_jobs.evaluation.statistics.discrimination import (
    NO_FOLD_WITH_BOTH,
    NO_NEGATIVES,
    NO_POSITIVES,
    NO_UNITS,
    Measured,
    auprc,
    auroc,
    average_precision,
    mean_over_folds,
    placements,
)
from tests.unit.evaluation.reference import auroc_by_pairs

# Few different values, so that ties are common.
units = st.lists(st.tuples(st.integers(-5, 5), st.sampled_from([0.0, 1.0])), min_size=2, max_size=40).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def columns(rows):
    scores, labels = zip(*rows, strict=True)
    return np.array(scores, dtype=float), np.array(labels)


@settings(deadline=None)
@given(units)
def test_auroc_is_the_share_of_pairs_ranked_right_with_ties_as_half(rows):
    scores, labels = columns(rows)
    assert auroc(scores, labels).value == pytest.approx(auroc_by_pairs(scores, labels), abs=1e-12)


@settings(deadline=None)
@given(units)
def test_auroc_and_auprc_agree_with_scikit_learn(rows):
    scores, labels = columns(rows)
    assert auroc(scores, labels).value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert auprc(scores, labels).value == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


@settings(deadline=None)
@given(units)
def test_increasing_transforms_change_nothing(rows):
    scores, labels = columns(rows)
    assert auroc(np.exp(scores / 3) * 7 - 2, labels).value == pytest.approx(
        auroc(scores, labels).value, abs=1e-12
    )
    assert auprc(scores**3, labels).value == pytest.approx(auprc(scores, labels).value, abs=1e-12)


@settings(deadline=None)
@given(units)
def test_turning_scores_or_labels_round_gives_the_complement(rows):
    scores, labels = columns(rows)
    value = auroc(scores, labels).value
    assert value is not None
    assert auroc(-scores, labels).value == pytest.approx(1 - value, abs=1e-12)
    assert auroc(scores, 1 - labels).value == pytest.approx(1 - value, abs=1e-12)


@settings(deadline=None)
@given(units, st.randoms(use_true_random=False))
def test_the_order_of_units_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    (scores, labels), (other_scores, other_labels) = columns(rows), columns(shuffled)
    assert auroc(scores, labels).value == pytest.approx(auroc(other_scores, other_labels).value, abs=1e-12)
    assert auprc(scores, labels).value == pytest.approx(auprc(other_scores, other_labels).value, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(units)
def test_the_derivative_of_average_precision_is_what_more_of_a_unit_adds(rows):
    scores, labels = columns(rows)
    _, derivative = average_precision(scores, labels == 1)
    for unit in range(len(rows)):
        weights = np.ones(len(rows))
        more, less = weights.copy(), weights.copy()
        more[unit], less[unit] = 1 + 1e-5, 1 - 1e-5
        slope = average_precision_score(labels, scores, sample_weight=more)
        slope -= average_precision_score(labels, scores, sample_weight=less)
        assert derivative[unit] == pytest.approx(slope / 2e-5, abs=1e-6)
    assert derivative.sum() == pytest.approx(0.0, abs=1e-9)


def test_only_pairs_within_a_fold_count():
    """Fold 1 scores everything ten higher; within each fold three of four pairs are in order."""
    labels = np.array([1, 1, 0, 0, 1, 1, 0, 0])
    scores = np.array([3.0, 1.0, 2.0, 0.0, 13.0, 11.0, 12.0, 10.0])
    folds = np.repeat([0, 1], 4)
    assert auroc(scores, labels, folds).value == pytest.approx(0.75)
    assert auroc(scores, labels).value == pytest.approx(10 / 16)


@settings(max_examples=50, deadline=None)
@given(units, st.integers(0, 100))
def test_an_auroc_over_folds_is_the_share_of_right_pairs_within_folds(rows, seed):
    scores, labels = columns(rows)
    folds = np.random.default_rng(seed).integers(0, 3, size=len(rows))
    one, other = np.nonzero((labels[:, None] > labels) & (folds[:, None] == folds))
    right = np.where(scores[one] == scores[other], 0.5, scores[one] > scores[other])
    found = auroc(scores, labels, folds)
    assert found.value == (pytest.approx(right.mean(), abs=1e-12) if right.size else None)
    assert found.reason == ("" if right.size else NO_FOLD_WITH_BOTH)


def test_values_of_folds_are_joined_by_what_they_were_counted_on():
    assert mean_over_folds([0.5, None, 0.8], [10, 0, 20]) == pytest.approx(0.7)
    assert mean_over_folds([None, None], [0, 0]) is None


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        pytest.param([0.0, 0.0], NO_POSITIVES, id="no positive"),
        pytest.param([1.0, 1.0], NO_NEGATIVES, id="no negative"),
        pytest.param([np.nan, np.nan], NO_UNITS, id="no known label"),
        pytest.param([np.nan, 1.0], NO_NEGATIVES, id="negative unknown"),
    ],
)
def test_a_missing_class_gives_none_with_its_reason_and_never_a_number(labels, reason):
    assert auroc([0.1, 0.2], labels) == Measured(None, reason)
    assert auprc([0.1, 0.2], labels) == Measured(None, reason)


def test_unknown_labels_are_left_out_even_where_their_score_is_not_finite():
    assert auroc([0.1, 0.9, np.nan], [0, 1, np.nan]).value == 1.0


def test_a_score_that_is_not_finite_is_an_error_that_says_how_many():
    with pytest.raises(ValueError, match="1 scores of labelled units are not finite"):
        auroc([0.1, np.nan], [0, 1])


def test_labels_other_than_one_zero_and_nan_are_refused():
    with pytest.raises(ValueError, match=r"labels must be 1, 0 or NaN; found -1\.0"):
        auroc([0.1, 0.2], [-1, 1])


def test_placements_average_to_the_auroc_from_both_sides():
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=(3, 50)).round(1), rng.random(50) < 0.3
    place = placements(scores, positive)
    np.testing.assert_allclose(place.of_positives.mean(axis=1), place.of_negatives.mean(axis=1), atol=1e-12)
