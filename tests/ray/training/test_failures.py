"""What goes wrong in a training, and what is left of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from chex_jobs.artifacts import StorageFull
from chex_jobs.training.errors import CheckpointFailed, InvalidRun, NonFiniteLoss, NonFiniteWeights
from chex_jobs.training.loop import LoopCallbacks, batch_per_worker, run_loop
from chex_jobs.training.process_group import WorkerRank, join
from chex_jobs.training.progress import Progress
from tests.ray.training.processes import run_workers
from tests.ray.training.toys import (
    MadeUpBatches,
    OddObjective,
    read_result,
    settings,
    store_in,
    write_result,
)


def newest_step(folder: Path) -> int:
    newest = store_in(folder).latest()
    return -1 if newest is None else newest.step


def test_nan_loss_stops_with_step_and_advice_and_nothing_of_it_is_stored(tmp_path: Path) -> None:
    how = settings(every_steps=1)
    with pytest.raises(
        NonFiniteLoss, match=r"loss is nan in step 4 \(epoch 1, learning rate .*lower learningRate"
    ) as caught:
        run_loop(OddObjective(explodes_at=4), MadeUpBatches(0, 1), how, join(), store_in(tmp_path))
    assert (caught.value.step, caught.value.epoch) == (4, 1)
    assert newest_step(tmp_path) == 4  # steps 0 to 3: the last whose loss was finite


def test_weights_that_are_not_finite_never_leave_a_run_whose_loss_still_is(tmp_path: Path) -> None:
    how = settings(epochs=1, learning_rate=1.0, gradient_clipping=0.0)
    module = OddObjective()
    batches = MadeUpBatches(0, 1, steps_per_epoch=1)
    module.head[1].weight.register_hook(lambda gradient: gradient * float("inf"))  # type: ignore[union-attr]
    with pytest.raises(NonFiniteWeights, match="weights are NaN or infinite after the update in step 0"):
        run_loop(module, batches, how, join(), store_in(tmp_path))
    assert newest_step(tmp_path) == -1


def explode_on_the_second_worker(worker: WorkerRank, folder: Path) -> None:
    module = OddObjective(explodes_at=4 if worker.rank == 1 else None)
    try:
        run_loop(
            module,
            MadeUpBatches(worker.rank, worker.world_size),
            settings(every_steps=1),
            worker,
            store_in(folder / "run"),
        )
    except NonFiniteLoss as error:
        write_result(folder, f"stopped-{worker.rank}", error.step)


def test_nan_on_one_worker_stops_all_at_the_same_step(tmp_path: Path) -> None:
    run_workers(explode_on_the_second_worker, 2, tmp_path)
    assert [read_result(tmp_path, f"stopped-{rank}") for rank in (0, 1)] == [4, 4]
    assert newest_step(tmp_path / "run") == 4


class FullDisk:
    """A store without space, which tells it as every storage does."""

    def save(self, step: int, files: Mapping[str, Path | bytes], metadata: Mapping[str, Any]) -> object:
        del step, files, metadata
        raise StorageFull("no space left to write file:///archive/checkpoints (No space left on device)")

    def latest(self) -> None:
        return None


def test_full_disk_is_a_clear_error_and_not_a_hang() -> None:
    with pytest.raises(
        CheckpointFailed,
        match=r"checkpoint of step \d could not be stored: no space left to write file:///archive",
    ):
        run_loop(OddObjective(), MadeUpBatches(0, 1), settings(every_steps=1), join(), FullDisk())


def store_on_a_full_disk(worker: WorkerRank, folder: Path) -> None:
    try:
        run_loop(
            OddObjective(),
            MadeUpBatches(worker.rank, worker.world_size),
            settings(every_steps=1),
            worker,
            FullDisk(),
        )
    except CheckpointFailed as error:
        write_result(folder, f"failed-{worker.rank}", str(error))


def test_worker_that_cannot_store_stops_the_others_too(tmp_path: Path) -> None:
    run_workers(store_on_a_full_disk, 2, tmp_path)
    assert "no space left to write file:///archive" in read_result(tmp_path, "failed-0")
    assert read_result(tmp_path, "failed-1")


def test_callback_that_says_no_ends_the_training_after_its_epoch(tmp_path: Path) -> None:
    seen = []

    def keep_first(epoch_end: Any) -> bool:
        seen.append((epoch_end.epoch, epoch_end.step, epoch_end.objective.training))
        return epoch_end.epoch < 2

    result = run_loop(
        OddObjective(),
        MadeUpBatches(0, 1),
        settings(),
        join(),
        store_in(tmp_path),
        LoopCallbacks(on_epoch_end=keep_first),
    )
    assert (result.status, result.step) == ("stopped", 6)
    assert seen == [(1, 3, False), (2, 6, False)]


def test_last_progress_says_that_all_steps_are_done() -> None:
    reports: list[Progress] = []
    run_loop(
        OddObjective(),
        MadeUpBatches(0, 1),
        settings(),
        join(),
        callbacks=LoopCallbacks(on_progress=reports.append),
    )
    assert reports[-1].step == reports[-1].total_steps == 9
    assert reports[-1].eta_seconds == 0.0
    assert reports[-1].films_per_second > 0
    assert torch.isfinite(torch.tensor(reports[-1].loss))


def test_workers_that_do_not_divide_the_global_batch_are_refused() -> None:
    with pytest.raises(InvalidRun, match=r"3 workers do not divide optimization.globalBatchSize \(16\)"):
        batch_per_worker(16, 3)
