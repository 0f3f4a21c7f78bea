"""AdamW's groups, and how fast each of them learns."""

import torch
from torch import nn

from chex_api.pretraining import AdamW
from chex_jobs.training.optimizer import build_optimizer, set_learning_rate


class Model(nn.Module):
    """An encoder and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.head = nn.Linear(3, 1)


def rates(optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, float]:
    by_parameter = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: by_parameter[id(p)] for name, p in module.named_parameters()}


def test_a_child_learns_at_its_own_multiple_of_the_schedules_rate() -> None:
    module = Model()
    optimizer = build_optimizer(module, AdamW(), {"head": 10.0})
    for rate in (1e-3, 5e-4):
        set_learning_rate(optimizer, rate)
        assert rates(optimizer, module) == {
            name: 10.0 * rate if name.startswith("head.") else rate for name, _ in module.named_parameters()
        }


def test_a_factor_changes_no_decay() -> None:
    module = Model()
    decays = {
        id(p): group["weight_decay"]
        for group in build_optimizer(module, AdamW(weight_decay=0.3), {"head": 0.1}).param_groups
        for p in group["params"]
    }
    assert all(decays[id(p)] == (0.3 if p.ndim > 1 else 0.0) for p in module.parameters())


def test_without_factors_there_are_two_groups_in_the_order_of_the_module() -> None:
    """The order of additions in clipping follows the groups: a factor of 1 must not change the last bits."""
    module = Model()
    for factors in ({}, {"head": 1.0}):
        matrices, vectors = build_optimizer(module, AdamW(), factors).param_groups
        assert [id(p) for p in matrices["params"]] == [id(p) for p in module.parameters() if p.ndim > 1]
        assert [id(p) for p in vectors["params"]] == [id(p) for p in module.parameters() if p.ndim == 1]
