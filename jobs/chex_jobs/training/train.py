"""`train`: one run, in this process, as one of the workers or alone."""

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chex_jobs.training import memory
from chex_jobs.training.assemble import assemble_batches, assemble_objective
from chex_jobs.training.checkpoints import CheckpointStore
from chex_jobs.training.loop import EpochEnd, LoopCallbacks, LoopSettings, Status, run_loop
from chex_jobs.training.process_group import WorkerRank, join
from chex_jobs.training.progress import Progress
from chex_jobs.training.training_run import TrainingRun
from chex_jobs.training.weight_files import split_by_role

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingOutcome:
    """How a run ended.

    Attributes:
        status: "completed", "stopped" (on request; goes on from its checkpoint) or "paused" (at `until_epoch`).
        step: optimizer steps done, in all attempts.
        epoch_losses: mean loss of each epoch.
        resumed_from: step of the checkpoint that this attempt went on from; None: from the start.
        num_workers: workers of this attempt.
        seconds: wall-clock seconds of this attempt, from assembling to the last checkpoint.
        weights: file name -> tensors by name (`weight_files`), on worker 0.
    """

    status: Status
    step: int
    epoch_losses: tuple[float, ...]
    resumed_from: int | None
    num_workers: int
    seconds: float
    weights: Mapping[str, Mapping[str, Tensor]]

    def without_weights(self) -> "TrainingOutcome":
        """The same, small enough to send."""
        return replace(self, weights={})


def train(
    run: TrainingRun,
    *,
    checkpoints: CheckpointStore | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_epoch_end: Callable[[EpochEnd], bool | None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    until_epoch: int | None = None,
) -> TrainingOutcome:
    """Train, going on from the newest checkpoint where there is one.

    Call it in every worker of a Ray Train group, or alone in any process: then it is the only worker. Several trainings may
    follow each other in one process.

    Args:
        run: what to train.
        checkpoints: where the state is stored; None keeps nothing.
        on_progress: on worker 0, at most once a second and at the end.
        on_epoch_end: see `LoopCallbacks`.
        should_stop: see `LoopCallbacks`.
        until_epoch: pause after this many epochs; the learning rate still follows all of `optimization.epochs`.

    Raises:
        TrainingError: see `chex_jobs.training.errors`.
        ArtifactError: data, start weights or checkpoints cannot be read.
    """
    began = time.monotonic()
    worker = join()
    given = {"on_progress": on_progress, "on_epoch_end": on_epoch_end, "should_stop": should_stop}
    callbacks = LoopCallbacks(**{name: callback for name, callback in given.items() if callback is not None})
    settings = LoopSettings(
        run.optimization, run.precision == "BFloat16", run.zero_stage, run.seed, run.checkpoint, until_epoch
    )
    objective = assemble_objective(run, worker.world_size)
    _log_memory(objective, run.zero_stage, worker)
    with assemble_batches(run, worker) as batches:
        result = run_loop(objective, batches, settings, worker, checkpoints, callbacks)
    return TrainingOutcome(
        status=result.status,
        step=result.step,
        epoch_losses=result.epoch_losses,
        resumed_from=result.resumed_from,
        num_workers=worker.world_size,
        seconds=time.monotonic() - began,
        weights=split_by_role(result.weights),
    )


def _log_memory(objective: torch.nn.Module, zero_stage: int, worker: WorkerRank) -> None:
    if not worker.is_main:
        return
    parameters = list(objective.parameters())
    num_trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    needed = memory.estimate(
        sum(parameter.numel() for parameter in parameters), num_trainable, worker.world_size
    )
    log.info(needed.describe(zero_stage, _device_bytes(worker.device)))


def _device_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
