"""Group BatchNorm against plain BatchNorm, group by group."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from chex_jobs.training.batch_norm import GroupBatchNorm, running_statistics, use_group_batch_norm
from chex_jobs.training.errors import InvalidRun

CHANNELS = 5


def films(num_films: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return (
        torch.randn(num_films, CHANNELS, 4, 3, generator=torch.Generator().manual_seed(1)).to(dtype) * 3 + 1
    )


def plain(make: Callable[[int], Any] = nn.BatchNorm2d) -> Any:
    norm = make(CHANNELS)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 1.5, CHANNELS))
        norm.bias.copy_(torch.linspace(-1.0, 1.0, CHANNELS))
    return norm


def grouped(group_size: int, frozen: bool = False) -> GroupBatchNorm:
    module = use_group_batch_norm(plain(), group_size, frozen)
    assert isinstance(module, GroupBatchNorm)
    return module


def test_one_group_is_bit_equal_to_batch_norm() -> None:
    expected, norm = plain(), grouped(8)
    assert torch.equal(norm(films(8)), expected(films(8)))
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in norm.state_dict().items())
    assert norm.num_batches_tracked == 1


def test_each_group_is_normalised_by_itself_with_its_own_gradient() -> None:
    norm, batch = grouped(4), films(12).requires_grad_()
    out = norm(batch)
    (out**3).sum().backward()
    for start in (0, 4, 8):
        part = films(12)[start : start + 4].requires_grad_()
        alone = plain()(part)
        (alone**3).sum().backward()
        assert torch.equal(out[start : start + 4], alone)
        assert batch.grad is not None
        assert part.grad is not None
        assert torch.allclose(batch.grad[start : start + 4], part.grad, atol=1e-5)


def test_running_statistics_move_by_the_mean_over_groups_so_that_ranks_can_be_averaged() -> None:
    whole, halves = grouped(4), [grouped(4), grouped(4)]
    for seed in range(3):
        batch = films(16) + seed
        whole(batch)
        for half, part in zip(halves, batch.split(8), strict=True):
            half(part)
    for name, statistic in running_statistics(whole).items():
        mean = torch.stack([running_statistics(half)[name] for half in halves]).mean(0)
        assert torch.allclose(statistic, mean, rtol=1e-6, atol=1e-7), name


def test_plain_batch_norm_would_not_be_the_mean_over_halves() -> None:
    whole, half = plain(), plain()
    whole(films(16))
    half(films(16)[:8])
    other = plain()
    other(films(16)[8:])
    variances = [norm.state_dict()["running_var"] for norm in (whole, half, other)]
    assert not torch.allclose(variances[0], (variances[1] + variances[2]) / 2, rtol=1e-4)


def test_evaluation_uses_running_statistics_for_any_number_of_films() -> None:
    norm, expected = grouped(4), plain()
    norm.eval()
    expected.eval()
    assert torch.equal(norm(films(7)), expected(films(7)))


def test_frozen_norm_in_training_neither_uses_nor_moves_batch_statistics() -> None:
    norm, expected = grouped(4, frozen=True), plain()
    expected.eval()
    assert torch.equal(norm.train()(films(6)), expected(films(6)))
    assert norm.num_batches_tracked == 0


def test_batch_that_is_no_multiple_of_the_group_is_refused() -> None:
    with pytest.raises(InvalidRun, match=r"6 films is not a multiple of batchNorm.groupSize \(4\)"):
        grouped(4)(films(6))


def test_channels_last_stays_channels_last() -> None:
    batch = films(8).to(memory_format=torch.channels_last)
    for group_size in (4, 8):
        assert grouped(group_size)(batch).is_contiguous(memory_format=torch.channels_last)


def test_bfloat16_films_keep_float32_statistics() -> None:
    norm, exact = grouped(4), grouped(4)
    out = norm(films(8, torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert norm.running_var.dtype == torch.float32
    exact(films(8, torch.bfloat16).float())
    assert torch.allclose(norm.running_var, exact.running_var, rtol=1e-5)


def test_every_batch_norm_is_replaced_and_no_name_changes() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, CHANNELS, 3), nn.BatchNorm2d(CHANNELS), nn.Sequential(nn.BatchNorm1d(3))
    )
    before = {name: id(tensor) for name, tensor in network.state_dict(keep_vars=True).items()}
    use_group_batch_norm(network, 2)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in network.modules())
    assert {name: id(tensor) for name, tensor in network.state_dict(keep_vars=True).items()} == before


def test_activation_that_timm_puts_into_its_batch_norm_is_kept() -> None:
    expected = plain(BatchNormAct2d)
    norm = use_group_batch_norm(plain(BatchNormAct2d), 8)
    out = norm(films(8))
    assert torch.equal(out, expected(films(8)))
    assert bool((out >= 0).all())
    assert norm.state_dict().keys() == expected.state_dict().keys()


def test_features_without_pixels_are_normalised_too() -> None:
    features = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    norm = use_group_batch_norm(nn.BatchNorm1d(3), 4)
    assert torch.allclose(norm(features)[:4], nn.BatchNorm1d(3)(features[:4]))
