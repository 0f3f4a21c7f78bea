from collections.abc import Sequence

import numpy as np
import pytest

from chex_jobs.adaptation.score import ValidationSet

NAN = float("nan")


def validation_set(
    labels: Sequence[Sequence[float]],
    *,
    unit: str = "Image",
    studies: list[int] | None = None,
    metric: str = "AUROC",
) -> ValidationSet:
    films = np.arange(len(labels))
    ids = films if studies is None else np.array(studies)
    return ValidationSet(films, ids, ids, np.array(labels, dtype=np.float32), unit, metric)  # type: ignore[arg-type]


def test_value_is_the_mean_over_tasks_with_both_classes() -> None:
    labels = [[1, 1, NAN], [0, 0, NAN], [1, 1, NAN], [0, NAN, NAN]]
    logits = np.array([[2.0, 0.0, 9.0], [1.0, 1.0, 9.0], [0.5, 2.0, 9.0], [0.0, 0.0, 9.0]])
    score = validation_set(labels).score(logits)
    assert score["AUROC"] == [0.75, 0.5, None]
    assert score["value"] == pytest.approx(0.625)


def test_loss_is_the_masked_cross_entropy() -> None:
    score = validation_set([[1, NAN], [0, 1]]).score(np.array([[0.0, 5.0], [0.0, 0.0]]))
    assert score["loss"] == pytest.approx(np.log(2))


def test_value_is_null_when_no_task_has_both_classes() -> None:
    score = validation_set([[1], [1]]).score(np.zeros((2, 1)))
    assert score["value"] is None
    assert score["loss"] == pytest.approx(np.log(2))


def test_films_of_a_study_are_scored_as_one() -> None:
    labels = [[1], [1], [0], [0]]
    logits = np.array([[3.0], [-2.0], [0.0], [0.9]])
    assert validation_set(labels).score(logits)["value"] == pytest.approx(0.5)
    assert validation_set(labels, unit="Study", studies=[0, 0, 1, 1]).score(logits)["value"] == 1.0


def test_metric_of_the_sweep_is_the_value() -> None:
    labels = [[1], [0], [1], [0]]
    logits = np.array([[4.0], [3.0], [2.0], [1.0]])
    score = validation_set(labels, metric="AUPRC").score(logits)
    assert score["value"] == score["AUPRC"][0] == pytest.approx((1 + 2 / 3) / 2)


def test_nan_logits_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        validation_set([[1], [0]]).score(np.array([[np.nan], [0.0]]))


def test_units_of_each_class_are_counted_so_that_folds_can_be_joined() -> None:
    score = validation_set([[1, NAN], [0, 1], [0, 0]]).score(np.zeros((3, 2)))
    assert (score["positives"], score["negatives"]) == ([1, 1], [2, 1])
