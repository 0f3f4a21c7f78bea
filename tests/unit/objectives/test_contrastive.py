"""The contrastive loss: against slow code, in closed form, in blocks, and what must not change it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chex_jobs.models.heads import l2_normalize
from chex_jobs.objectives.contrastive import Contrast, info_nce
from tests.unit.objectives import paper


def vectors(num: int, seed: int, dim: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return l2_normalize(torch.randn(num, dim, generator=generator, dtype=torch.float64))


@settings(deadline=None, max_examples=50)
@given(
    num_rows=st.integers(1, 7),
    num_candidates=st.integers(1, 9),
    num_groups=st.integers(1, 5),
    scale=st.floats(0.1, 100.0),
    seed=st.integers(0, 1000),
)
def test_the_loss_is_the_papers(
    num_rows: int, num_candidates: int, num_groups: int, scale: float, seed: int
) -> None:
    anchors, positives, candidates = (
        vectors(num, seed + k) for k, num in enumerate((num_rows, num_rows, num_candidates))
    )
    generator = torch.Generator().manual_seed(seed)
    anchor_groups = torch.randint(num_groups, (num_rows,), generator=generator)
    candidate_groups = torch.randint(num_groups, (num_candidates,), generator=generator)
    found = info_nce(
        anchors, positives, candidates, scale, anchor_groups=anchor_groups, candidate_groups=candidate_groups
    )
    excluded = anchor_groups.numpy()[:, None] == candidate_groups.numpy()[None, :]
    expected = paper.info_nce_loss(anchors.numpy(), positives.numpy(), candidates.numpy(), scale, excluded)
    assert found.loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(max_logits=st.integers(1, 60), num_rows=st.integers(1, 8), grouped=st.booleans())
def test_blocks_change_neither_loss_nor_gradients(max_logits: int, num_rows: int, grouped: bool) -> None:
    groups = (
        {"anchor_groups": torch.arange(num_rows) % 3, "candidate_groups": torch.arange(7) % 3}
        if grouped
        else {}
    )

    def outcome(limit: int) -> tuple[Contrast, list[torch.Tensor]]:
        leaves = [
            vectors(num_rows, 1),
            vectors(num_rows, 2),
            vectors(7, 3),
            torch.tensor([5.0], dtype=torch.float64),
        ]
        for leaf in leaves:
            leaf.requires_grad_()
        contrast = info_nce(*leaves, **groups, max_logits=limit)
        contrast.loss.backward()
        return contrast, [leaf.grad for leaf in leaves if leaf.grad is not None]

    whole, whole_gradients = outcome(10**9)
    blocked, blocked_gradients = outcome(max_logits)
    torch.testing.assert_close(blocked.loss, whole.loss, rtol=1e-12, atol=1e-14)
    assert blocked.top1 == whole.top1
    assert len(blocked_gradients) == len(whole_gradients) == 4
    for found, expected in zip(blocked_gradients, whole_gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_logits_are_never_held_all_at_once() -> None:
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    anchors = vectors(64, 1).requires_grad_()
    with Watch():
        info_nce(anchors, vectors(64, 2), vectors(128, 3), 5.0, max_logits=1024).loss.backward()
    assert 1024 <= largest < 64 * 128 / 4


def test_gradients_are_those_of_finite_differences() -> None:
    leaves = [vectors(3, 1), vectors(3, 2), vectors(5, 3), torch.tensor([4.0], dtype=torch.float64)]
    for leaf in leaves:
        leaf.requires_grad_()
    torch.autograd.gradcheck(lambda *given: info_nce(*given, max_logits=5).loss, leaves)


def test_equal_vectors_everywhere_cost_the_logarithm_of_the_choices() -> None:
    same = torch.ones(4, 1)
    assert info_nce(same, same, torch.ones(9, 1), 3.0).loss.item() == pytest.approx(math.log(10))


def test_orthogonal_negatives_have_the_closed_form() -> None:
    basis = torch.eye(5)
    found = info_nce(basis[:1], basis[:1], basis[1:], 2.0).loss.item()
    assert found == pytest.approx(-math.log(math.exp(2.0) / (math.exp(2.0) + 4)), rel=1e-6)


def test_a_scale_of_zero_leaves_nothing_but_the_number_of_choices() -> None:
    found = info_nce(vectors(3, 1), vectors(3, 2), vectors(7, 3), 0.0).loss.item()
    assert found == pytest.approx(math.log(8))


def test_a_scaled_temperature_is_scaled_similarity() -> None:
    anchors, positives, candidates = vectors(3, 1), vectors(3, 2), vectors(7, 3)
    torch.testing.assert_close(
        info_nce(anchors, positives, candidates, 6.0).loss,
        info_nce(2 * anchors, positives, candidates, 3.0).loss,
    )


def test_the_order_of_rows_and_candidates_does_not_matter() -> None:
    anchors, positives, candidates = vectors(6, 1), vectors(6, 2), vectors(8, 3)
    rows, columns = torch.tensor([3, 1, 0, 5, 4, 2]), torch.tensor([7, 2, 0, 1, 6, 5, 3, 4])
    torch.testing.assert_close(
        info_nce(anchors[rows], positives[rows], candidates[columns], 9.0).loss,
        info_nce(anchors, positives, candidates, 9.0).loss,
    )


def test_a_row_without_negatives_costs_nothing_and_has_finite_gradients() -> None:
    anchors = vectors(3, 1).requires_grad_()
    groups = torch.zeros(3, dtype=torch.int64)
    found = info_nce(
        anchors, anchors.detach(), vectors(3, 2), 5.0, anchor_groups=groups, candidate_groups=groups
    )
    found.loss.backward()
    assert found.loss.item() == 0.0
    assert anchors.grad is not None
    assert torch.equal(anchors.grad, torch.zeros_like(anchors))
    assert found.top1.item() == 1.0


def test_large_scales_stay_finite_in_float32() -> None:
    anchors = vectors(4, 1).float()
    assert torch.isfinite(info_nce(anchors, -anchors, anchors, 100.0).loss)


def test_top1_counts_positives_above_every_negative() -> None:
    anchors = torch.eye(2)
    candidates = torch.tensor([[0.9, 0.0], [0.0, 0.1]])
    found = info_nce(anchors, torch.tensor([[0.5, 0.0], [0.0, 0.5]]), candidates, 1.0)
    assert found.top1.item() == 0.5
    assert np.isfinite(found.loss.item())
