"""Batch normalisation in groups of fixed size, so that the number of workers does not change the maths.

Plain BatchNorm normalises over a worker's batch: 2 workers x 16 films differ from 1 x 32 (gradients of a contrastive loss
by 81 %), and torch's SyncBatchNorm refuses to run on CPU with more than one process ("expected input tensor to be on
GPU"). Here every `group_size` consecutive films are normalised by themselves ("Ghost Batch Normalization", arXiv
1705.08741); as each worker's slice of the global batch holds whole groups, the groups are the same for any number of workers.

Running statistics move by the *mean over the groups* of a step. That is linear, so the mean of the workers' running
statistics is what one worker with the whole batch would have (`average_running_statistics`).
"""

from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from chex_jobs.training.errors import InvalidRun


class GroupBatchNorm(nn.Module):
    """Drop-in for BatchNorm1d/2d over inputs [B, C, ...]; tensors bear BatchNorm's names.

    Args:
        norm: the layer to stand in for; its parameters and buffers are taken over, not copied, as are the dropout and
            activation that timm's BatchNorm layers apply themselves.
        group_size: films normalised together in training; B must be a multiple of it.
        frozen: always use the running statistics and never move them, as LP-FT wants in its second phase.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: _BatchNorm, group_size: int, frozen: bool) -> None:
        super().__init__()
        if norm.running_mean is None or norm.momentum is None:
            raise InvalidRun(
                "a BatchNorm without running statistics, or with cumulative ones, cannot be trained in groups"
            )
        self.num_features, self.eps, self.momentum = norm.num_features, norm.eps, norm.momentum
        self.group_size, self.frozen = group_size, frozen
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.drop: nn.Module | None = getattr(norm, "drop", None)
        self.act: nn.Module | None = getattr(norm, "act", None)
        self.train(norm.training)

    def forward(self, films: Tensor) -> Tensor:
        """Normalise [B, C, ...] by group (training) or by running statistics (evaluation, or frozen).

        Raises:
            InvalidRun: when B is not a multiple of `group_size` in training.
        """
        normalised = self._normalise(films)
        if self.drop is not None:
            normalised = self.drop(normalised)
        return normalised if self.act is None else self.act(normalised)

    def _normalise(self, films: Tensor) -> Tensor:
        if not self.training or self.frozen:
            return functional.batch_norm(
                films, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        num_groups, rest = divmod(films.shape[0], self.group_size)
        if rest or not num_groups:
            raise InvalidRun(
                f"a batch of {films.shape[0]} films is not a multiple of batchNorm.groupSize ({self.group_size})"
            )
        self.num_batches_tracked.add_(1)
        if num_groups == 1:  # nothing to split or join: the layer costs what BatchNorm costs
            return functional.batch_norm(
                films,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                True,
                self.momentum,
                self.eps,
            )
        return self._normalise_groups(films, num_groups)

    def _normalise_groups(self, films: Tensor, num_groups: int) -> Tensor:
        # With momentum 1 the running statistics of a call are its own: mean and unbiased variance of the group.
        # Splitting and joining costs 10-15 % of a step on CPU; an autograd function that wrote each group's output into its
        # place in one tensor was no faster below 64 films of 256 x 32 x 32, and longer.
        means = self.running_mean.new_zeros((num_groups, self.num_features))
        variances = torch.zeros_like(means)
        normalised = [
            functional.batch_norm(
                group, means[index], variances[index], self.weight, self.bias, True, 1.0, self.eps
            )
            for index, group in enumerate(films.split(self.group_size))
        ]
        with torch.no_grad():
            self.running_mean.lerp_(means.mean(0), self.momentum)
            self.running_var.lerp_(variances.mean(0), self.momentum)
        return torch.cat(normalised)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"{self.num_features}, group_size={self.group_size}, frozen={self.frozen}"


def use_group_batch_norm(module: nn.Module, group_size: int, frozen: bool = False) -> nn.Module:
    """Replace every BatchNorm below `module`, in place. Names of tensors stay as they are.

    Returns:
        `module` itself, or the stand-in when `module` is a BatchNorm.
    """
    if isinstance(module, _BatchNorm):
        return GroupBatchNorm(module, group_size, frozen)
    for name, child in module.named_children():
        replaced = use_group_batch_norm(child, group_size, frozen)
        if replaced is not child:
            setattr(module, name, replaced)
    return module


def group_batch_norms(module: nn.Module) -> Iterator[tuple[str, GroupBatchNorm]]:
    """The layers below `module` with their names, in the order of definition."""
    return ((name, child) for name, child in module.named_modules() if isinstance(child, GroupBatchNorm))


def running_statistics(module: nn.Module) -> dict[str, Tensor]:
    """The running means and variances below `module` by name: what differs between workers."""
    return {
        f"{prefix}.{name}" if prefix else name: getattr(norm, name)
        for prefix, norm in group_batch_norms(module)
        for name in ("running_mean", "running_var")
    }


def average_running_statistics(module: nn.Module) -> None:
    """Make running statistics equal on all workers, in place: the mean, which is exact (see above). A collective call.

    DeepSpeed broadcasts and reduces parameters only and would save worker 0's statistics, so this comes before every
    evaluation and before weights leave a run.
    """
    if dist.get_world_size() == 1:
        return
    statistics = list(running_statistics(module).values())
    if not statistics:
        return
    flat = torch.cat([statistic.reshape(-1) for statistic in statistics])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for statistic, mean in zip(statistics, flat.split([s.numel() for s in statistics]), strict=True):
        statistic.copy_(mean.view_as(statistic))
