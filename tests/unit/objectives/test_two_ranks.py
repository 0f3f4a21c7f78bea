"""Two ranks with half of the films each are one rank with all of them: losses, gradients, weights, queue."""

from typing import Any

import pytest
import torch

from tests.unit.objectives import ranks

# Relative error of losses and of gradients, and the steps in which gradients are compared. In float64 nothing but
# rounding is left in any step. In float32 only the first step's gradients are compared: weights that differ by rounding
# can lie on two sides of a ReLU's kink, where an untrained BatchNorm network's gradient jumps by a percent.
TOLERANCE = {torch.float32: (1e-6, 1e-5, 1), torch.float64: (1e-13, 1e-11, ranks.STEPS)}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    return ranks.on_ranks(2, ranks.all_cases, tmp_path_factory.mktemp("ranks"))


@pytest.fixture(scope="module")
def one() -> dict[Any, ranks.Training]:
    return {case: ranks.train(*case) for case in ranks.CASES}


def relative(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """L2 norm of the difference of all tensors together, relative to that of the expected ones."""
    assert found.keys() == expected.keys()
    difference = torch.cat([(found[name] - expected[name]).double().flatten() for name in expected])
    return float(
        difference.norm() / torch.cat([tensor.double().flatten() for tensor in expected.values()]).norm()
    )


@pytest.mark.parametrize(("name", "dtype"), ranks.CASES)
def test_losses_are_those_of_one_rank_on_every_rank(
    name: str, dtype: torch.dtype, one: Any, two: Any
) -> None:
    tolerance, _, _ = TOLERANCE[dtype]
    expected = one[name, dtype].losses
    assert two[0][name, dtype].losses == two[1][name, dtype].losses
    assert two[0][name, dtype].losses == pytest.approx(expected, rel=tolerance)
    assert len(set(expected)) == ranks.STEPS


@pytest.mark.parametrize(("name", "dtype"), ranks.CASES)
def test_averaged_gradients_are_those_of_one_rank_in_every_step(
    name: str, dtype: torch.dtype, one: Any, two: Any
) -> None:
    _, tolerance, steps = TOLERANCE[dtype]
    gradients = list(zip(two[0][name, dtype].gradients, one[name, dtype].gradients, strict=True))
    assert len(gradients) == ranks.STEPS
    for found, expected in gradients[:steps]:
        assert relative(found, expected) < tolerance


@pytest.mark.parametrize("name", ["moCo", "clip", "supervised"])
def test_no_parameter_hides_a_wrong_gradient_behind_larger_ones(name: str, one: Any, two: Any) -> None:
    """In float64 each parameter is compared by itself: a logit_scale wrong by W would drown in the norm of all."""
    case = name, torch.float64
    for found, expected in zip(two[0][case].gradients, one[case].gradients, strict=True):
        largest = max(tensor.abs().max() for tensor in expected.values())
        for key, gradient in expected.items():
            torch.testing.assert_close(found[key], gradient, rtol=1e-9, atol=1e-12 * float(largest), msg=key)


@pytest.mark.parametrize(("name", "dtype"), ranks.CASES)
def test_metrics_are_those_of_the_global_batch(name: str, dtype: torch.dtype, one: Any, two: Any) -> None:
    _, _, steps = TOLERANCE[dtype]
    assert two[0][name, dtype].metrics == two[1][name, dtype].metrics
    for found, expected in zip(
        two[1][name, dtype].metrics[:steps], one[name, dtype].metrics[:steps], strict=True
    ):
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_queue_holds_the_same_keys_at_the_same_places(dtype: torch.dtype, one: Any, two: Any) -> None:
    expected = one["moCo", dtype].buffers
    first, second = two[0]["moCo", dtype].buffers, two[1]["moCo", dtype].buffers
    assert torch.equal(first["queue"], second["queue"])
    atol = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(first["queue"], expected["queue"], rtol=0, atol=atol)
    never_written = slice(ranks.STEPS * ranks.GLOBAL_BATCH, None)
    assert torch.equal(first["queue"][never_written], expected["queue"][never_written])
    assert (
        first["queue_position"].tolist()
        == expected["queue_position"].tolist()
        == [ranks.STEPS * ranks.GLOBAL_BATCH]
    )


def test_the_key_encoder_is_the_same_on_all_ranks_and_on_one(one: Any, two: Any) -> None:
    case = "moCo", torch.float64

    def weights(training: ranks.Training) -> dict[str, torch.Tensor]:
        parameters = {f"key_encoder.{name}" for name in _names(training.parameters, "image_encoder.")}
        return {name: tensor for name, tensor in training.buffers.items() if name in parameters}

    expected = weights(one[case])
    assert len(expected) > 50
    assert relative(weights(two[0][case]), expected) < 1e-11
    assert all(torch.equal(weights(two[0][case])[name], weights(two[1][case])[name]) for name in expected)


def _names(tensors: dict[str, torch.Tensor], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in tensors if name.startswith(prefix)]


def test_gathered_rows_stand_in_the_order_of_ranks_and_get_the_gradient_of_all_ranks(two: Any) -> None:
    for rank, (gathered, gradient) in enumerate(found["gather"] for found in two):
        assert gathered.flatten().tolist() == [0.0, 0.5, 1.0, 1.5]
        # Row j is weighed by 10 * 0 + j on rank 0 and by 10 * 1 + j on rank 1.
        assert gradient.flatten().tolist() == [10.0 + 2 * j for j in (2 * rank, 2 * rank + 1)]
