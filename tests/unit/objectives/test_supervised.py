"""Supervised pretraining: unknown labels weigh nothing, and nothing becomes NaN by them."""

import pytest
import torch

from chex_jobs.objectives import Supervised
from tests.unit.objectives import paper, towers


def supervised(positive_weights: torch.Tensor | None = None) -> Supervised:
    encoder = towers.plain_image_encoder()
    return Supervised(encoder, num_tasks=3, seed=0, positive_weights=positive_weights).double()


@pytest.mark.parametrize("weights", [None, [1.0, 4.0, 0.25]])
def test_the_loss_is_the_mean_over_known_cells(weights: list[float] | None) -> None:
    module = supervised(None if weights is None else torch.tensor(weights))
    batch = towers.batch(0, 12)
    logits = module.logits(batch["images"][:, 0:1]).detach().numpy()
    expected = paper.masked_cross_entropy(logits, batch["labels"].numpy(), module.positive_weights.numpy())
    loss, metrics = module(batch)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert metrics["labelled"].item() == (~batch["labels"].isnan()).sum().item()


def test_an_unknown_cell_has_no_gradient_whatever_the_logit() -> None:
    module, batch = supervised(), towers.batch(0, 4)
    batch["labels"] = torch.tensor([[1.0, torch.nan, 0.0]]).repeat(4, 1)
    module(batch).loss.backward()
    assert module.head.weight.grad is not None
    assert torch.equal(module.head.weight.grad[1], torch.zeros_like(module.head.weight.grad[1]))
    assert module.head.weight.grad[[0, 2]].abs().min() > 0


def test_a_batch_without_any_label_costs_nothing_and_changes_nothing() -> None:
    module, batch = supervised(), towers.batch(0, 4)
    batch["labels"] = torch.full((4, 3), torch.nan)
    loss, metrics = module(batch)
    loss.backward()
    assert loss.item() == 0.0
    assert metrics["labelled"].item() == 0
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.equal(parameter.grad, torch.zeros_like(parameter)), name


def test_gradients_stay_finite_beside_unknown_labels() -> None:
    module, batch = supervised(), towers.batch(0, 12)
    module(batch).loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.parameters())


def test_the_order_of_films_does_not_matter() -> None:
    module, batch = supervised(), towers.batch(0, 8)
    shuffled = towers.rows(batch, torch.tensor([5, 2, 7, 0, 1, 3, 6, 4]))
    assert module(shuffled).loss.item() == pytest.approx(module(batch).loss.item(), rel=1e-12)


def test_the_head_follows_from_the_seed_alone() -> None:
    torch.manual_seed(5)
    first = supervised().head.weight
    torch.rand(3)
    assert torch.equal(supervised().head.weight, first)


def test_weights_for_another_number_of_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="there are 3 tasks"):
        supervised(torch.ones(2))


def test_extreme_logits_cost_finitely() -> None:
    module, batch = supervised().float(), towers.batch(0, 4)
    with torch.no_grad():
        module.head.bias.fill_(1e4)
    batch["labels"] = torch.zeros(4, 3)
    assert module(batch).loss.item() == pytest.approx(1e4, rel=1e-3)
