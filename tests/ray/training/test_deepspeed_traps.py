"""The traps of DeepSpeed 0.19.8, one test each, named after the trap. See `chex_jobs.training.engine` and `model_state`.

Where it is cheap a test also shows that the trap is still there, so that an upgrade tells which guard may go.
"""

import gc
import logging
import math
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from chex_api.pretraining import AdamW
from chex_jobs.objectives import Loss
from chex_jobs.training import engine, loop
from chex_jobs.training.errors import UnsupportedParameter
from chex_jobs.training.loop import run_loop
from chex_jobs.training.optimizer import build_optimizer
from chex_jobs.training.process_group import WorkerRank, join, prepare_deepspeed
from tests.ray.training.processes import run_workers
from tests.ray.training.toys import (
    MadeUpBatches,
    OddObjective,
    objective,
    read_result,
    settings,
    state_at,
    store_in,
    tensors_of,
    write_result,
)


def initialize(module: nn.Module, config: dict) -> object:
    """DeepSpeed without our guards."""
    join()
    prepare_deepspeed()
    import deepspeed

    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    return deepspeed.initialize(model=module, optimizer=optimizer, config=config)[0]


PLAIN = engine.config(batch_per_worker=4, gradient_clipping=0.0, zero_stage=0, bfloat16=False)


def test_gradient_clipping_defaults_to_one_so_zero_is_always_written() -> None:
    assert PLAIN["gradient_clipping"] == 0.0
    without = {name: value for name, value in PLAIN.items() if name != "gradient_clipping"}
    default: float = initialize(nn.Linear(2, 2), without).gradient_clipping()  # type: ignore[attr-defined]
    assert default == 1.0, "the trap is gone: deepspeed#8068"
    assert initialize(nn.Linear(2, 2), PLAIN).gradient_clipping() == 0.0  # type: ignore[attr-defined]


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_without_clipping_a_step_follows_the_whole_gradient(
    monkeypatch: pytest.MonkeyPatch, zero_stage: int
) -> None:
    class Steep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 2))

        def forward(self, batch: dict[str, torch.Tensor]) -> Loss:
            del batch
            return Loss((self.weight * 100.0).sum(), {})

    def sgd(module: nn.Module, *_: object) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=0.0)

    monkeypatch.setattr(loop, "build_optimizer", sgd)
    moved = {}
    for clipping in (0.0, 1.0):
        how = settings(
            zero_stage=zero_stage,
            epochs=1,
            learning_rate=1.0,
            schedule="Constant",
            warmup_fraction=0.0,
            gradient_clipping=clipping,
        )
        result = run_loop(Steep(), MadeUpBatches(0, 1, steps_per_epoch=1), how, join())
        moved[clipping] = float(result.weights["weight"][0, 0])
    assert moved[0.0] == pytest.approx(-100.0)
    assert moved[1.0] == pytest.approx(-0.5, rel=1e-3)  # norm of the gradient is 200


def test_channels_last_parameters_crash_initialize_and_are_refused_by_name() -> None:
    convolution = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    with pytest.raises(UnsupportedParameter, match=r"not contiguous.*\['weight'\]"):
        engine.check_parameters(convolution)
    with pytest.raises(RuntimeError, match="stride"):
        initialize(nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), PLAIN)


def test_scalar_parameters_crash_initialize_and_are_refused_by_name() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logit_scale = nn.Parameter(torch.tensor(1.0))

    with pytest.raises(UnsupportedParameter, match=r"without dimensions \['logit_scale'\].*shape \(1,\)"):
        engine.check_parameters(Scaled())
    with pytest.raises(RuntimeError):
        initialize(Scaled(), PLAIN)


@pytest.mark.parametrize("name", ["moCo", "clip", "supervised"])
def test_objectives_have_no_parameter_that_deepspeed_would_crash_on(name: str) -> None:
    engine.check_parameters(objective(name))


def test_bf16_section_breaks_batch_norm_so_bfloat16_is_autocast() -> None:
    config = engine.config(batch_per_worker=4, gradient_clipping=0.0, zero_stage=1, bfloat16=True)
    assert "bf16" not in config
    assert config["torch_autocast"]["enabled"]
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    broken = initialize(network, {**PLAIN, "zero_optimization": {"stage": 1}, "bf16": {"enabled": True}})
    with pytest.raises(RuntimeError, match="expected scalar type"):
        broken(torch.zeros(4, 1, 8, 8, dtype=torch.bfloat16))  # type: ignore[operator]


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_bfloat16_trains_batch_norm_and_keeps_float32_weights_and_statistics(
    tmp_path: Path, zero_stage: int
) -> None:
    how = settings(zero_stage=zero_stage, epochs=1, bfloat16=True)
    result = run_loop(OddObjective(), MadeUpBatches(0, 1), how, join(), store_in(tmp_path))
    floating = [tensor for tensor in result.weights.values() if tensor.is_floating_point()]
    assert {tensor.dtype for tensor in floating} == {torch.float32}
    assert not torch.equal(result.weights["image_encoder.1.running_mean"], torch.zeros(7))


def test_universal_checkpoints_lose_buffers_ours_bring_batch_norm_statistics_back(tmp_path: Path) -> None:
    run_loop(OddObjective(), MadeUpBatches(0, 1), settings(epochs=1), join(), store_in(tmp_path))
    resumed = OddObjective()
    run_loop(resumed, MadeUpBatches(0, 1), settings(epochs=1), join(), store_in(tmp_path))
    assert not torch.equal(resumed.image_encoder[1].running_mean, torch.zeros(7))  # type: ignore[union-attr]
    assert int(resumed.image_encoder[1].num_batches_tracked) == 3  # type: ignore[union-attr, arg-type]


def statistics_at_the_end(worker: WorkerRank, folder: Path) -> None:
    module = OddObjective()
    run_loop(
        module, MadeUpBatches(worker.rank, worker.world_size), settings(), worker, store_in(folder / "run")
    )
    write_result(folder, f"mean-{worker.rank}", module.image_encoder[1].running_mean.tolist())  # type: ignore[union-attr]


def test_batch_norm_statistics_differ_per_rank_and_are_averaged_before_weights_leave(tmp_path: Path) -> None:
    run_workers(statistics_at_the_end, 2, tmp_path)
    assert read_result(tmp_path, "mean-0") == read_result(tmp_path, "mean-1")
    store = state_at(tmp_path / "run", 9)
    assert torch.equal(
        store.statistics["image_encoder.1.running_mean"][0],
        store.statistics["image_encoder.1.running_mean"][1],
    )


def autocast_in_each_stage(worker: WorkerRank, folder: Path) -> None:
    for stage in (0, 1, 2, 3):
        how = settings(zero_stage=stage, bfloat16=True)
        run_loop(
            OddObjective(),
            MadeUpBatches(worker.rank, worker.world_size),
            how,
            worker,
            store_in(folder / f"stage-{stage}"),
        )


def test_zero_stages_would_reduce_autocast_gradients_in_bfloat16_and_do_not(tmp_path: Path) -> None:
    run_workers(autocast_in_each_stage, 2, tmp_path)
    expected = tensors_of(state_at(tmp_path / "stage-0", 9))
    for stage in (1, 2, 3):
        actual = tensors_of(state_at(tmp_path / f"stage-{stage}", 9))
        # Reduced in bfloat16 they would differ by 2**-9 relative, some 1e-3.
        first_moments = [name for name in expected if name.startswith("exp_avg/")]
        assert all(
            torch.allclose(actual[name], expected[name], rtol=1e-4, atol=1e-8) for name in first_moments
        ), stage


def test_shared_memory_collectives_are_not_compiled() -> None:
    initialize(nn.Linear(2, 2), PLAIN)
    import deepspeed.comm.comm as comm

    assert comm.cdb.shm_comm_op is None
    assert "deepspeed_shm_comm" not in sys.modules


def test_driver_modules_import_neither_torch_nor_deepspeed() -> None:
    """Ray's controller unpickles what the driver imported, on a node without accelerator (ray#50406)."""
    check = "import sys, chex_jobs.training.ray_launch, chex_jobs.training.training_run; print(sorted({'torch', 'deepspeed'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_trainings_that_follow_each_other_in_one_process_leave_no_model_behind(zero_stage: int) -> None:
    kept = []
    for _ in range(3):
        module = OddObjective()
        kept.append(weakref.ref(module.image_encoder))
        run_loop(module, MadeUpBatches(0, 1), settings(zero_stage=zero_stage, epochs=1), join())
        del module
        gc.collect()
    assert [reference() for reference in kept] == [None, None, None]


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_an_inverse_temperature_is_put_back_to_its_bound_where_the_worker_holds_it(zero_stage: int) -> None:
    """Under ZeRO the parameter that a forward pass sees is a copy: putting that back would change nothing."""
    module = objective("clip")
    with torch.no_grad():
        module.temperature.logit_scale.fill_(math.log(1000.0))  # type: ignore[union-attr]
    how = settings(zero_stage=zero_stage, epochs=1, learning_rate=1e-9)
    weights = run_loop(module, MadeUpBatches(0, 1), how, join()).weights
    assert weights["temperature.logit_scale"].item() == pytest.approx(math.log(100.0), rel=1e-6)


def test_norms_biases_and_other_one_dimensional_parameters_are_not_decayed() -> None:
    module = objective("clip")
    decays = {
        id(p): group["weight_decay"]
        for group in build_optimizer(module, AdamW(weight_decay=0.3)).param_groups
        for p in group["params"]
    }
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert decays[id(parameter)] == (0.3 if parameter.ndim > 1 else 0.0), name
        else:
            assert id(parameter) not in decays, name


def test_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    module = objective("supervised")
    torch.manual_seed(3)
    run_loop(
        module,
        MadeUpBatches(0, 1),
        settings(epochs=1),
        join(),
    )
    assert torch.equal(torch.rand(1), expected)


def test_deepspeed_speaks_only_of_problems(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run_loop(OddObjective(), MadeUpBatches(0, 1), settings(epochs=1), join())
    assert [record.name for record in caplog.records if "eep" in record.name] == []
