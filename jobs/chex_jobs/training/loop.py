"""The training loop: batches in, steps of a DeepSpeed engine, checkpoints and progress out.

It knows no objective, no data format and no Ray: `train` puts those together. Exactness (E0, E1) rests on four rules:

* a batch is a function of (seed, epoch, step); the slice of a worker is contiguous and holds whole BatchNorm groups;
* random numbers drawn in a step (dropout) are seeded from (seed, step, worker), so a resumed run draws the same;
* running statistics stay each worker's own between ends of epochs, where all get the mean. Checkpoints store one row for
  each worker: averaging whenever the clock asks for a checkpoint would change the last bits of an undisturbed run;
* the learning rate is a function of the step.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from chex_api.pretraining import Optimization
from chex_jobs.data.loading.order import Position
from chex_jobs.training import model_state
from chex_jobs.training.batch_norm import average_running_statistics
from chex_jobs.training.checkpoint_policy import CheckpointPolicy
from chex_jobs.training.checkpoints import Checkpoint, CheckpointStore, CheckpointWriter, RunState, restore
from chex_jobs.training.engine import Engine
from chex_jobs.training.errors import CheckpointFailed, InvalidRun, NonFiniteLoss, NonFiniteWeights
from chex_jobs.training.optimizer import build_optimizer
from chex_jobs.training.process_group import WorkerRank
from chex_jobs.training.progress import Progress, ProgressMeter
from chex_jobs.training.schedule import LearningRateSchedule
from chex_jobs.training.step_agreement import StepAgreement

log = logging.getLogger(__name__)

Status = Literal["completed", "stopped", "paused"]


class Batches(Protocol):
    """This worker's batches; `chex_jobs.data.loading.batch_source.BatchSource` has it."""

    steps_per_epoch: int

    @property
    def wait_seconds(self) -> float:
        """How long the loop waited for the latest batch."""
        ...

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of one epoch from `first_step` on."""
        ...


@dataclass(frozen=True)
class EpochEnd:
    """What a callback gets after each epoch, on every worker.

    Attributes:
        epoch: epochs done.
        loss: mean loss of the epoch over steps and workers.
        objective: the module in evaluation mode, with running statistics equal on all workers; back in training after.
    """

    epoch: int
    step: int
    loss: float
    objective: nn.Module
    worker: WorkerRank


@dataclass(frozen=True)
class LoopSettings:
    """How to run the loop; see `TrainingRun` for what the fields mean.

    Attributes:
        until_epoch: end there ("paused") with the schedule of all epochs; None: at the end.
        learning_rate_factors: by name of a child of the objective, its learning rate relative to the others'.
    """

    optimization: Optimization
    bfloat16: bool
    zero_stage: int
    seed: int
    checkpoint: CheckpointPolicy
    until_epoch: int | None = None
    learning_rate_factors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LoopCallbacks:
    """Whom the loop tells and asks.

    Attributes:
        on_progress: called on worker 0, at most once a second and at the end.
        on_epoch_end: called on every worker; False ends the training there ("stopped").
        should_stop: asked on every worker after each step; True stores a checkpoint and ends ("stopped").
    """

    on_progress: Callable[[Progress], None] = lambda _: None
    on_epoch_end: Callable[[EpochEnd], bool | None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class LoopResult:
    """How the loop ended. `weights`: by name, on CPU, on worker 0; empty on the others."""

    status: Status
    step: int
    epoch_losses: tuple[float, ...]
    resumed_from: int | None
    weights: Mapping[str, Tensor]


def run_loop(
    objective: nn.Module,
    batches: Batches,
    settings: LoopSettings,
    worker: WorkerRank,
    checkpoints: CheckpointStore | None = None,
    callbacks: LoopCallbacks = LoopCallbacks(),
) -> LoopResult:
    """Train `objective` from the newest checkpoint, or from its weights as they are, to the end.

    Raises:
        NonFiniteLoss: on all workers at the same step; nothing of that step was stored.
        CheckpointFailed: an upload failed; on all workers at the same step.
        CheckpointMismatch: the newest checkpoint is of another model.
    """
    objective.to(worker.device).train()
    run_state, stored = RunState(Position(), 0, 0.0, ()), None
    newest = _newest(checkpoints, worker)
    if newest is not None:
        stored, run_state = restore(newest)
        model_state.load_weights_and_buffers(objective, stored, worker.rank, worker.world_size)
        log.info("resuming from the checkpoint of step %d", run_state.step)
    with (
        torch.random.fork_rng(devices=[worker.device] if worker.device.type == "cuda" else []),
        Engine(
            objective,
            build_optimizer(objective, settings.optimization.adam_w, settings.learning_rate_factors),
            worker,
            batch_per_worker=batch_per_worker(settings.optimization.global_batch_size, worker.world_size),
            gradient_clipping=settings.optimization.gradient_clipping,
            zero_stage=settings.zero_stage,
            bfloat16=settings.bfloat16,
        ) as engine,
    ):
        if stored is not None:
            model_state.load_moments(engine, stored)
        del stored  # as large as the model and its moments
        return _Loop(engine, batches, settings, checkpoints, callbacks, run_state, newest is not None).run()


def _newest(checkpoints: CheckpointStore | None, worker: WorkerRank) -> Checkpoint | None:
    """The checkpoint to go on from, the same on all workers: another one may be committed while they look."""
    if checkpoints is None:
        return None
    chosen = [checkpoints.latest() if worker.is_main else None]
    if worker.world_size > 1:
        dist.broadcast_object_list(chosen, device=worker.device)
    return chosen[0]


def batch_per_worker(global_batch_size: int, world_size: int) -> int:
    """Films of a step on one worker. Raises `InvalidRun` when the workers do not divide the global batch."""
    if global_batch_size % world_size:
        raise InvalidRun(
            f"{world_size} workers do not divide optimization.globalBatchSize ({global_batch_size})"
        )
    return global_batch_size // world_size


class _Loop:
    """One run of the loop: its position, and what is not yet settled."""

    def __init__(
        self,
        engine: Engine,
        batches: Batches,
        settings: LoopSettings,
        checkpoints: CheckpointStore | None,
        callbacks: LoopCallbacks,
        run_state: RunState,
        resumed: bool,
    ) -> None:
        self.engine, self.batches, self.settings, self.callbacks = engine, batches, settings, callbacks
        self.worker, self.state = engine.worker, run_state
        self.resumed_from = run_state.step if resumed else None
        self.stores = checkpoints is not None
        self.writer = (
            CheckpointWriter(checkpoints) if checkpoints is not None and self.worker.is_main else None
        )
        self.stored_position, self.stored_at = (run_state.position if resumed else None), time.monotonic()
        optimization = settings.optimization
        total_steps = optimization.epochs * batches.steps_per_epoch
        self.schedule = LearningRateSchedule(
            optimization.learning_rate, optimization.schedule, optimization.warmup_fraction, total_steps
        )
        self.meter = ProgressMeter(total_steps, optimization.global_batch_size, run_state.step)
        self.control = StepAgreement(self.worker)
        self.unsettled: _StepResult | None = None
        self.latest_loss = math.nan

    def run(self) -> LoopResult:
        epochs = self.settings.optimization.epochs
        until = epochs if self.settings.until_epoch is None else min(epochs, self.settings.until_epoch)
        status: Status = "completed" if until == epochs else "paused"
        try:
            while self.state.position.epoch < until:
                if not (self._run_epoch() and self._end_epoch()):
                    status = "stopped"
                    break
            return self._finish(status)
        finally:
            if self.writer is not None:
                self.writer.close()
            self.control.close()

    def _run_epoch(self) -> bool:
        """Train to the end of the epoch; False when asked to stop before."""
        position = self.state.position
        for batch in self.batches.epoch(position.epoch, position.step):
            self.meter.waited(self.batches.wait_seconds)
            stop, checkpoint = self._step(batch)
            if stop:
                return False
            every_steps = self.settings.checkpoint.every_steps
            if checkpoint or (every_steps is not None and self.state.step % every_steps == 0):
                self._store()
        return True

    def _step(self, batch: Mapping[str, Tensor]) -> tuple[bool, bool]:
        """One step. Returns the workers' wishes to stop and to store a checkpoint."""
        on_device = {name: tensor.to(self.worker.device, non_blocking=True) for name, tensor in batch.items()}
        torch.manual_seed(step_seed(self.settings.seed, self.state.step, self.worker.rank))
        learning_rate = self.schedule.at(self.state.step)
        loss, metrics = self.engine.step(on_device, learning_rate)
        # The step before this one is settled while the device works on this one: the device never waits for the host.
        stop, checkpoint = self._settle()
        self.unsettled = _StepResult(self.state.step, learning_rate, loss, metrics)
        position = Position(self.state.position.epoch, self.state.position.step + 1)
        self.state = replace(self.state, position=position, step=self.state.step + 1)
        return stop, checkpoint

    def _settle(self) -> tuple[bool, bool]:
        """Agree on the step that is still unsettled, and on what the workers wish. A collective call."""
        result, self.unsettled = self.unsettled, None
        if result is None:
            return False, False
        verdict = self.control.exchange(
            result.loss,
            stop=self.callbacks.should_stop(),
            checkpoint=self._clock_asks_for_checkpoint(),
            failure=self.writer.failure if self.writer is not None else None,
        )
        if not math.isfinite(verdict.loss):
            raise NonFiniteLoss(result.step, self.state.position.epoch, result.learning_rate, verdict.loss)
        self.latest_loss = verdict.loss
        self.state = replace(self.state, loss_sum=self.state.loss_sum + verdict.loss)
        if self.worker.is_main and self.meter.due(result.step + 1):
            self.callbacks.on_progress(
                self.meter.report(
                    step=result.step + 1,
                    epoch=self.state.position.epoch,
                    epochs=self.settings.optimization.epochs,
                    loss=verdict.loss,
                    learning_rate=result.learning_rate,
                    metrics={name: float(value) for name, value in result.metrics.items()},
                    committed=self._committed_step(),
                )
            )
        return verdict.stop, verdict.checkpoint

    def _committed_step(self) -> int:
        """The step from which an attempt after this one would go on."""
        stored = self.writer.committed_step if self.writer is not None else 0
        return max(stored, self.resumed_from or 0)

    def _end_epoch(self) -> bool:
        """Settle the epoch, tell the callback; False when that or a worker's wish ends the training."""
        stop, _ = self._settle()
        objective = self.engine.objective
        average_running_statistics(objective)
        loss = self.state.loss_sum / self.batches.steps_per_epoch
        epoch = self.state.position.epoch + 1
        self.state = RunState(Position(epoch, 0), self.state.step, 0.0, (*self.state.epoch_losses, loss))
        objective.eval()
        goes_on = self.callbacks.on_epoch_end(EpochEnd(epoch, self.state.step, loss, objective, self.worker))
        objective.train()
        every_epochs = self.settings.checkpoint.every_epochs
        if every_epochs is not None and epoch % every_epochs == 0:
            self._store()
        return not self.control.agree(stop or goes_on is False)

    def _finish(self, status: Status) -> LoopResult:
        self._settle()
        self._store()
        if self.writer is not None:
            self.writer.wait()
        failure = self.writer.failure if self.writer is not None else None
        if self.control.agree(failure is not None):
            raise failure or CheckpointFailed(
                "worker 0 could not store the last checkpoint; its own message says why"
            )
        average_running_statistics(self.engine.objective)
        weights = model_state.whole_weights(self.engine)
        self._refuse_non_finite(model_state.are_finite(weights.values()))
        return LoopResult(status, self.state.step, self.state.epoch_losses, self.resumed_from, weights)

    def _refuse_non_finite(self, is_finite: bool) -> None:
        """Raise on all workers when worker 0 finds weights that must not leave the run. A collective call."""
        if self.control.agree(not is_finite):
            step, epoch = self.state.step - 1, self.state.position.epoch
            raise NonFiniteWeights(step, epoch, self.schedule.at(step), self.latest_loss)

    def _clock_asks_for_checkpoint(self) -> bool:
        minutes = self.settings.checkpoint.every_minutes
        if self.writer is None or minutes is None:
            return False
        return time.monotonic() - self.stored_at >= 60.0 * minutes and not self.writer.busy

    def _store(self) -> None:
        """Begin to store the state, unless it is stored. A collective call."""
        self._settle()
        if not self.stores or self.stored_position == self.state.position:
            return
        state = model_state.gather(self.engine)
        self._refuse_non_finite(state is None or state.is_finite())
        if self.writer is not None and state is not None:
            self.writer.submit(state, self.state)
        self.stored_position, self.stored_at = self.state.position, time.monotonic()


@dataclass(frozen=True)
class _StepResult:
    """A step whose loss is still on the device."""

    step: int
    learning_rate: float
    loss: Tensor
    metrics: Mapping[str, Tensor]


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of what is drawn at random in a step on a worker, below 2**64."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])
