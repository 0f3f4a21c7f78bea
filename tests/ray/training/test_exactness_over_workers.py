"""E1: W workers x B/W films equal 1 x B, for every objective in every ZeRO stage (Float32, no dropout, three SGD steps).

Gradients are read from momentum buffers: with a momentum too small to be felt, a buffer is its step's gradient.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from chex_jobs.training import loop
from chex_jobs.training.process_group import WorkerRank
from tests.ray.training.processes import run_workers
from tests.ray.training.toys import (
    MadeUpBatches,
    objective,
    read_result,
    settings,
    state_at,
    store_in,
    write_result,
)
from tests.unit.objectives.towers import smoothed

OBJECTIVES = ("clip", "moCo", "supervised")
STAGES = (0, 1, 2, 3)
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-6, 1e-5
NUM_STEPS = 3


def sgd(module: nn.Module, *_: object) -> torch.optim.Optimizer:
    """Stands in for AdamW, which divides by the gradient's own size and so hides its scale."""
    return torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.0, momentum=1e-30)


def train_all(worker: WorkerRank, folder: Path) -> None:
    loop.build_optimizer = sgd
    for name in OBJECTIVES:
        for stage in STAGES if worker.world_size > 1 else (0,):
            run_folder = folder / f"{name}-{stage}"
            result = loop.run_loop(
                smoothed(objective(name)),
                MadeUpBatches(worker.rank, worker.world_size, steps_per_epoch=1),
                settings(
                    zero_stage=stage, epochs=NUM_STEPS, every_steps=1, learning_rate=2e-5, schedule="Constant",
                    warmup_fraction=0.0, gradient_clipping=0.0,
                ),
                worker,
                store_in(run_folder),
            )  # fmt: skip
            if worker.is_main:
                write_result(folder, f"{name}-{stage}", result.epoch_losses)


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    run_workers(train_all, 1, folder)
    return folder


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    run_workers(train_all, 2, folder)
    return folder


def relative_error(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Relative L2 error over all tensors together."""
    assert actual.keys() == expected.keys()
    difference = sum(float((actual[name] - expected[name]).double().square().sum()) for name in expected)
    return (difference / sum(float(tensor.double().square().sum()) for tensor in expected.values())) ** 0.5


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_workers_have_the_losses_of_one(
    one_worker: Path, two_workers: Path, name: str, stage: int
) -> None:
    expected = read_result(one_worker, f"{name}-0")
    actual = read_result(two_workers, f"{name}-{stage}")
    assert len(set(expected)) == NUM_STEPS
    as_tensors = [{"losses": torch.tensor(losses, dtype=torch.float64)} for losses in (actual, expected)]
    assert relative_error(*as_tensors) < LOSS_TOLERANCE


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_workers_have_the_gradients_of_one(
    one_worker: Path, two_workers: Path, name: str, stage: int
) -> None:
    for step in range(1, NUM_STEPS + 1):
        expected = state_at(one_worker / f"{name}-0", step).moments["momentum_buffer"]
        actual = state_at(two_workers / f"{name}-{stage}", step).moments["momentum_buffer"]
        assert relative_error(actual, expected) < GRADIENT_TOLERANCE, step


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_mean_of_the_workers_statistics_is_that_of_one(
    one_worker: Path, two_workers: Path, name: str, stage: int
) -> None:
    expected = state_at(one_worker / f"{name}-0", NUM_STEPS).statistics
    actual = state_at(two_workers / f"{name}-{stage}", NUM_STEPS).statistics
    assert all(rows.shape[0] == 2 for rows in actual.values())
    means = {name: rows.mean(0) for name, rows in actual.items()}
    assert relative_error(means, {name: rows[0] for name, rows in expected.items()}) < GRADIENT_TOLERANCE


@pytest.mark.parametrize("stage", STAGES)
def test_momentum_queue_is_that_of_one_worker(one_worker: Path, two_workers: Path, stage: int) -> None:
    expected = state_at(one_worker / "moCo-0", NUM_STEPS).buffers
    actual = state_at(two_workers / f"moCo-{stage}", NUM_STEPS).buffers
    assert torch.equal(actual["queue_position"], expected["queue_position"])
    assert relative_error({"queue": actual["queue"]}, {"queue": expected["queue"]}) < GRADIENT_TOLERANCE
