"""Checkpoints: from a state by name to files and back, stored beside the training.

A checkpoint is three safetensors files and a small JSON object, handed to a store that commits them last. Random numbers need
no storing: the loop seeds them from (seed, step, worker) in every step, and batches are functions of (seed, epoch, step).
"""

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors.torch import load_file, save_file
from torch import Tensor

from chex_jobs.artifacts.disk import temporary_folder
from chex_jobs.data.loading.order import Position
from chex_jobs.training.errors import CheckpointFailed
from chex_jobs.training.model_state import ModelState

log = logging.getLogger(__name__)

WEIGHTS, BUFFERS, OPTIMIZER = "weights.safetensors", "buffers.safetensors", "optimizer.safetensors"
STATISTICS_PREFIX = "statistics/"
SCHEMA = 1


class Checkpoint(Protocol):
    """A committed and verified checkpoint, which pickles; `chex_jobs.artifacts` has it."""

    @property
    def step(self) -> int: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...
    def local_path(self, name: str) -> Path:
        """The file on this machine, with its checksum verified."""
        ...


class CheckpointStore(Protocol):
    """Where checkpoints go; `chex_jobs.artifacts` has it."""

    def save(self, step: int, files: Mapping[str, Path | bytes], metadata: Mapping[str, Any]) -> object:
        """Store files, then commit them."""
        ...

    def latest(self) -> Checkpoint | None:
        """The newest committed checkpoint whose checksums hold."""
        ...


@dataclass(frozen=True)
class RunState:
    """Where a run stands, beside its tensors.

    Attributes:
        position: epoch and step in it that come next.
        step: optimizer steps done.
        loss_sum: sum of the losses of the epoch under way.
        epoch_losses: mean loss of each finished epoch.
    """

    position: Position
    step: int
    loss_sum: float
    epoch_losses: tuple[float, ...]


def restore(checkpoint: Checkpoint) -> tuple[ModelState, RunState]:
    """Read a checkpoint. Raises what the store raises when a file is gone or differs from its checksum."""
    metadata = checkpoint.metadata
    buffers = load_file(checkpoint.local_path(BUFFERS))
    moments: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_file(checkpoint.local_path(OPTIMIZER)).items():
        key, _, parameter = name.partition("/")
        moments.setdefault(key, {})[parameter] = tensor
    state = ModelState(
        weights=load_file(checkpoint.local_path(WEIGHTS)),
        buffers={name: tensor for name, tensor in buffers.items() if not name.startswith(STATISTICS_PREFIX)},
        statistics={
            name.removeprefix(STATISTICS_PREFIX): tensor
            for name, tensor in buffers.items()
            if name.startswith(STATISTICS_PREFIX)
        },
        moments=moments,
        optimizer_step=metadata["optimizer_step"],
    )
    run_state = RunState(
        Position(metadata["epoch"], metadata["step_in_epoch"]),
        checkpoint.step,
        metadata["loss_sum"],
        tuple(metadata["epoch_losses"]),
    )
    return state, run_state


class CheckpointWriter:
    """Stores checkpoints in a thread of its own, one at a time, on worker 0."""

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self.failure: CheckpointFailed | None = None
        self.committed_step = 0

    @property
    def busy(self) -> bool:
        """Whether an upload is under way. Notes a failure of one that ended."""
        if self._pending is not None and self._pending.done():
            self.wait()
        return self._pending is not None

    def submit(self, state: ModelState, run_state: RunState) -> None:
        """Begin to store a checkpoint; waits for the one before."""
        self.wait()
        self._pending = self._thread.submit(self._store_now, state, run_state)

    def wait(self) -> None:
        """Wait until nothing is under way; `failure` tells how it ended."""
        if self._pending is None:
            return
        try:
            self._pending.result()
        except CheckpointFailed as failure:
            self.failure = failure
        finally:
            self._pending = None

    def close(self) -> None:
        """Wait, and end the thread."""
        self.wait()
        self._thread.shutdown()

    def _store_now(self, state: ModelState, run_state: RunState) -> None:
        try:
            with temporary_folder("chex-checkpoint-") as folder:
                files = {name: folder / name for name in (WEIGHTS, BUFFERS, OPTIMIZER)}
                for name, content in _files_of(state).items():
                    save_file(dict(content), files[name])
                self._store.save(run_state.step, files, _metadata_of(state, run_state))
        except Exception as error:
            raise CheckpointFailed(
                f"checkpoint of step {run_state.step} could not be stored: {error}"
            ) from error
        self.committed_step = run_state.step
        log.info("checkpoint of step %d is committed", run_state.step)


def _files_of(state: ModelState) -> dict[str, Mapping[str, Tensor]]:
    statistics = {STATISTICS_PREFIX + name: tensor for name, tensor in state.statistics.items()}
    moments = {
        f"{key}/{name}": tensor for key, named in state.moments.items() for name, tensor in named.items()
    }
    return {WEIGHTS: state.weights, BUFFERS: state.buffers | statistics, OPTIMIZER: moments}


def _metadata_of(state: ModelState, run_state: RunState) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "epoch": run_state.position.epoch,
        "step_in_epoch": run_state.position.step,
        "optimizer_step": state.optimizer_step,
        "loss_sum": run_state.loss_sum,
        "epoch_losses": list(run_state.epoch_losses),
    }
