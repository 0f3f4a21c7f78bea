"""What the workers agree on after each step: the loss, and whether to stop or to store a checkpoint.

All of it goes through one tiny all-reduce per step, on CPU, so that every worker takes the same turn at the same step.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from chex_jobs.training.errors import CheckpointFailed
from chex_jobs.training.process_group import WorkerRank


@dataclass(frozen=True)
class StepDecision:
    """The agreement after a step. `loss`: mean over the workers; NaN or infinite if that of any worker is."""

    loss: float
    stop: bool
    checkpoint: bool


class StepAgreement:
    """Exchanges verdicts over a group of its own, which is gloo also where gradients go through NCCL."""

    def __init__(self, worker: WorkerRank) -> None:
        self._worker = worker
        needs_own_group = worker.world_size > 1 and dist.get_backend() != "gloo"
        self._group: Any = dist.new_group(backend="gloo") if needs_own_group else None

    def exchange(
        self, loss: Tensor, *, stop: bool, checkpoint: bool, failure: CheckpointFailed | None
    ) -> StepDecision:
        """Tell the others this worker's loss and wishes; a wish of one is a wish of all.

        Raises:
            CheckpointFailed: on every worker, when one of them brings a failure.
        """
        if self._worker.world_size == 1:
            if failure is not None:
                raise failure
            return StepDecision(float(loss), stop, checkpoint)
        message = torch.tensor(
            [float(loss), float(stop), float(checkpoint), float(failure is not None)], dtype=torch.float64
        )
        dist.all_reduce(message, group=self._group)
        total_loss, stops, checkpoints, failures = message.tolist()
        if failures:
            raise failure or CheckpointFailed(
                "worker 0 could not store a checkpoint; its own message says why"
            )
        return StepDecision(total_loss / self._worker.world_size, stops > 0, checkpoints > 0)

    def agree(self, wish: bool) -> bool:
        """Whether any worker wishes it. A collective call."""
        if self._worker.world_size == 1:
            return wish
        message = torch.tensor([float(wish)])
        dist.all_reduce(message, group=self._group)
        return message.item() > 0

    def close(self) -> None:
        """Let go of the group."""
        if self._group is not None:
            dist.destroy_process_group(self._group)
