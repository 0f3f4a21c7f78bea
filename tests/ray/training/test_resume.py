"""E0: a run that was killed and went on ends in the same bits as one that was left alone.

A kill is what it leaves: the committed checkpoints up to some step. The killed process itself is in test_launch.py.
"""

from pathlib import Path

import pytest
import torch
from torch import nn

from chex_jobs.training.errors import CheckpointMismatch
from chex_jobs.training.loop import LoopCallbacks, LoopSettings, run_loop
from chex_jobs.training.process_group import WorkerRank, join
from tests.ray.training.processes import run_workers
from tests.ray.training.toys import (
    GLOBAL_BATCH,
    MadeUpBatches,
    OddObjective,
    copied_up_to,
    objective,
    read_result,
    settings,
    state_at,
    store_in,
    tensors_of,
    write_result,
)

LAST = 9  # 3 epochs of 3 steps
KILLED_AFTER = (2, 6)  # inside the first epoch, and at the end of the second

TRAININGS: dict[str, tuple[str, LoopSettings]] = {
    "odd-0": ("odd", settings(zero_stage=0, every_steps=2)),
    "odd-1": ("odd", settings(zero_stage=1, every_steps=2)),
    "odd-2": ("odd", settings(zero_stage=2, every_steps=2)),
    "odd-3": ("odd", settings(zero_stage=3, every_steps=2)),
    "odd-1-bfloat16": ("odd", settings(zero_stage=1, every_steps=2, bfloat16=True)),
    "odd-3-bfloat16": ("odd", settings(zero_stage=3, every_steps=2, bfloat16=True)),
    "moCo-0": ("moCo", settings(zero_stage=0, every_steps=2)),
    "moCo-3": ("moCo", settings(zero_stage=3, every_steps=2)),
    "clip-1": ("clip", settings(zero_stage=1, every_steps=2)),
}


def make(name: str) -> nn.Module:
    return OddObjective() if name == "odd" else objective(name)


def train_undisturbed_and_killed(worker: WorkerRank, folder: Path) -> None:
    for name, (kind, how) in TRAININGS.items():
        batches = MadeUpBatches(worker.rank, worker.world_size)
        undisturbed = run_loop(make(kind), batches, how, worker, store_in(folder / name))
        losses = {"undisturbed": undisturbed.epoch_losses}
        for step in KILLED_AFTER:
            killed = folder / f"{name}-killed-after-{step}"
            if worker.is_main:
                copied_up_to(folder / name, killed, step)
            torch.distributed.barrier()
            result = run_loop(make(kind), batches, how, worker, store_in(killed))
            assert result.resumed_from == step
            losses[str(step)] = result.epoch_losses
        if worker.is_main:
            write_result(folder, f"{name}-losses", losses)


@pytest.fixture(scope="module", params=[1, 2], ids=["one_worker", "two_workers"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(f"workers-{request.param}")
    run_workers(train_undisturbed_and_killed, request.param, folder)
    return folder


@pytest.mark.parametrize("step", KILLED_AFTER)
@pytest.mark.parametrize("name", TRAININGS)
def test_resumed_run_ends_in_the_same_bits(trained: Path, name: str, step: int) -> None:
    expected = tensors_of(state_at(trained / name, LAST))
    actual = tensors_of(state_at(trained / f"{name}-killed-after-{step}", LAST))
    assert actual.keys() == expected.keys()
    assert [key for key in expected if not torch.equal(actual[key], expected[key])] == []


@pytest.mark.parametrize("name", TRAININGS)
def test_resumed_run_reports_the_same_losses(trained: Path, name: str) -> None:
    losses = read_result(trained, f"{name}-losses")
    assert len(losses["undisturbed"]) == 3
    assert all(losses[str(step)] == losses["undisturbed"] for step in KILLED_AFTER)


def test_moments_and_queue_are_part_of_a_checkpoint(trained: Path) -> None:
    state = state_at(trained / "moCo-0", 4)
    assert state.moments.keys() == {"exp_avg", "exp_avg_sq"}
    assert state.optimizer_step == 4
    assert int(state.buffers["queue_position"]) == 4 * GLOBAL_BATCH % 128
    assert any(name.startswith("key_encoder.") for name in state.buffers)
    assert any(name.startswith("key_encoder.") for name in state.statistics)


def test_buffers_that_are_made_anew_are_not_stored(trained: Path) -> None:
    buffers = state_at(trained / "odd-0", 4).buffers
    assert "calls" in buffers
    assert "scratch" not in buffers


def go_on_with_another_number_of_workers_and_stage(worker: WorkerRank, folder: Path) -> None:
    """Trap: DeepSpeed's own checkpoints raise ZeRORuntimeException when the number of workers changes."""
    for stage in (0, 1, 2, 3):
        source = folder / "source"
        target = copied_up_to(source, folder / f"stage-{stage}", 4)
        result = run_loop(
            OddObjective(),
            MadeUpBatches(0, 1),
            settings(zero_stage=stage, every_steps=2),
            worker,
            store_in(target),
        )
        write_result(folder, f"stage-{stage}", result.epoch_losses)


def train_on_two(worker: WorkerRank, folder: Path) -> None:
    how = settings(zero_stage=1, every_steps=2)
    run_loop(
        OddObjective(),
        MadeUpBatches(worker.rank, worker.world_size),
        how,
        worker,
        store_in(folder / "source"),
    )


def test_checkpoint_of_two_workers_in_stage_1_goes_on_with_one_worker_in_any_stage(tmp_path: Path) -> None:
    run_workers(train_on_two, 2, tmp_path)
    run_workers(go_on_with_another_number_of_workers_and_stage, 1, tmp_path)
    stage_0 = tensors_of(state_at(tmp_path / "stage-0", LAST))
    for stage in (1, 2, 3):
        other = tensors_of(state_at(tmp_path / f"stage-{stage}", LAST))
        assert all(torch.allclose(other[key], stage_0[key], rtol=1e-4, atol=1e-7) for key in stage_0), stage
    # One BatchNorm row from then on: the mean of the two that were stored.
    assert all(rows.shape[0] == 1 for rows in state_at(tmp_path / "stage-0", LAST).statistics.values())


def test_graceful_stop_stores_a_checkpoint_and_says_stopped(tmp_path: Path) -> None:
    asked = iter([False, False, False])
    how = settings(every_steps=None)
    stopped = run_loop(
        OddObjective(),
        MadeUpBatches(0, 1),
        how,
        join(),
        store_in(tmp_path / "a"),
        LoopCallbacks(should_stop=lambda: next(asked, True)),
    )
    assert stopped.status == "stopped"
    assert stopped.step == 5  # in the second epoch; a step is settled after the one that follows it
    resumed = run_loop(OddObjective(), MadeUpBatches(0, 1), how, join(), store_in(tmp_path / "a"))
    assert (resumed.status, resumed.resumed_from, resumed.step) == ("completed", 5, LAST)
    undisturbed = run_loop(OddObjective(), MadeUpBatches(0, 1), how, join(), store_in(tmp_path / "b"))
    assert resumed.epoch_losses == undisturbed.epoch_losses
    assert all(torch.equal(resumed.weights[name], tensor) for name, tensor in undisturbed.weights.items())


def test_run_that_was_paused_at_an_epoch_keeps_its_schedule(tmp_path: Path) -> None:
    how = settings()
    paused = run_loop(
        OddObjective(),
        MadeUpBatches(0, 1),
        LoopSettings(**{**vars(how), "until_epoch": 1}),
        join(),
        store_in(tmp_path / "a"),
    )
    assert (paused.status, paused.step) == ("paused", 3)
    whole = run_loop(OddObjective(), MadeUpBatches(0, 1), how, join(), store_in(tmp_path / "b"))
    rest = run_loop(OddObjective(), MadeUpBatches(0, 1), how, join(), store_in(tmp_path / "a"))
    assert all(torch.equal(rest.weights[name], tensor) for name, tensor in whole.weights.items())


def test_finished_run_that_is_started_again_trains_nothing_and_has_its_weights(tmp_path: Path) -> None:
    first = run_loop(OddObjective(), MadeUpBatches(0, 1), settings(), join(), store_in(tmp_path / "a"))
    again = run_loop(OddObjective(), MadeUpBatches(0, 1), settings(), join(), store_in(tmp_path / "a"))
    assert again.resumed_from == LAST
    assert all(torch.equal(again.weights[name], tensor) for name, tensor in first.weights.items())


def test_checkpoint_of_another_model_is_refused_with_names(tmp_path: Path) -> None:
    run_loop(OddObjective(), MadeUpBatches(0, 1), settings(epochs=1), join(), store_in(tmp_path / "a"))
    with pytest.raises(CheckpointMismatch, match=r"missing .*image_encoder\.backbone"):
        run_loop(
            objective("supervised"), MadeUpBatches(0, 1), settings(epochs=1), join(), store_in(tmp_path / "a")
        )
