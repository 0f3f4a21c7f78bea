import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from chex_jobs.adaptation.logistic import fit_path

C_VALUES = (1e-6, 1e-3, 1e-1, 1e1, 1e2)
NAN = np.float32("nan")


def features_and_labels(num_rows: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated, positive features as a ReLU network gives them, and two tasks that follow from them."""
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(num_rows, 12)) @ generator.normal(size=(12, dim))
    features = np.maximum(mixed + 1, 0).astype(np.float32)
    labels = (mixed[:, :2] + 2 * generator.normal(size=(num_rows, 2)) > 1).astype(np.float32)
    return features, labels


def sklearn_logits(features: np.ndarray, labels: np.ndarray, c: float, new: np.ndarray) -> np.ndarray:
    """The same problem by scikit-learn: globally scaled features, penalty on the weights alone."""
    scale = features.std()
    model = LogisticRegression(C=c, tol=1e-9, max_iter=50_000).fit(
        features.astype(np.float64) / scale, labels
    )
    return model.decision_function(new.astype(np.float64) / scale)


@pytest.mark.parametrize(("num_rows", "dim"), [(40, 90), (200, 30)], ids=["fewer rows", "more rows"])
def test_path_agrees_with_scikit_learn_at_every_c(num_rows: int, dim: int) -> None:
    features, labels = features_and_labels(num_rows, dim)
    logits = fit_path(features, labels, C_VALUES).logits(features)
    for i, c in enumerate(C_VALUES):
        for task in range(2):
            expected = sklearn_logits(features, labels[:, task], c, features)
            assert np.abs(logits[i, :, task] - expected).max() < 2e-3 * (1 + np.abs(expected).max())


def test_unknown_labels_leave_their_rows_out_of_that_task_only() -> None:
    features, labels = features_and_labels(120, 20)
    masked = labels.copy()
    masked[:50, 1] = NAN
    logits = fit_path(features, masked, (0.1,)).logits(features)[0]
    whole = fit_path(features, labels, (0.1,)).logits(features)[0]
    alone = fit_path(features[50:], labels[50:, 1:], (0.1 * features[50:].std() ** 2 / features.std() ** 2,))
    assert logits[:, 0] == pytest.approx(whole[:, 0], abs=1e-3)
    assert logits[:, 1] == pytest.approx(alone.logits(features)[0][:, 0], abs=1e-2)


def test_head_of_a_path_applies_to_raw_features() -> None:
    features, labels = features_and_labels(100, 20)
    path = fit_path(features, labels, (1.0,))
    shifted = fit_path(features * 40 + 7, labels, (1.0,))
    expected = features @ path.weight[0].T + path.bias[0]
    assert path.logits(features)[0] == pytest.approx(expected, abs=1e-4)
    assert shifted.logits(features * 40 + 7)[0] == pytest.approx(path.logits(features)[0], abs=1e-2)


def test_no_fit_depends_on_the_other_values_of_c() -> None:
    features, labels = features_and_labels(100, 20)
    path = fit_path(features, labels, C_VALUES).logits(features)
    alone = fit_path(features, labels, (C_VALUES[3],)).logits(features)
    assert alone[0] == pytest.approx(path[3], abs=5e-3)


def test_task_with_one_class_gets_a_constant_finite_logit() -> None:
    features, labels = features_and_labels(30, 8)
    labels[:, 1] = 1.0
    logits = fit_path(features, labels, C_VALUES).logits(features)
    assert np.unique(logits[:, :, 1]).size == 1
    assert logits[0, 0, 1] == pytest.approx(np.log(31))


def test_task_without_any_label_gets_logit_zero() -> None:
    features, labels = features_and_labels(30, 8)
    labels[:, 1] = NAN
    assert (fit_path(features, labels, (1.0,)).logits(features)[..., 1] == 0).all()


def test_constant_features_give_the_base_rate() -> None:
    labels = np.array([[1.0], [0.0], [0.0], [0.0]], dtype=np.float32)
    logits = fit_path(np.ones((4, 5), dtype=np.float32), labels, (1.0,)).logits(
        np.ones((4, 5), dtype=np.float32)
    )
    assert logits == pytest.approx(np.log(1 / 3), abs=1e-3)


def test_two_fits_are_bit_equal() -> None:
    features, labels = features_and_labels(60, 80)
    first, second = fit_path(features, labels, C_VALUES), fit_path(features, labels, C_VALUES)
    assert np.array_equal(first.weight, second.weight)
    assert np.array_equal(first.bias, second.bias)
