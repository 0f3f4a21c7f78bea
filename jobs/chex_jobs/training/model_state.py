"""The state of a training by parameter name: whole tensors, whatever the ZeRO stage and the number of workers.

DeepSpeed's own checkpoints cannot be loaded with another number of workers (`ZeRORuntimeException`, `elastic_checkpoint`
fails too), its universal checkpoint loses buffers without a word (BatchNorm back at its first values), and reading either is
`torch.load` of pickles. So nothing of them is used: tensors are gathered by name and put back by name.

Where 0.19.8 keeps them:

* stage 0: weights in the parameter, moments in torch's `optimizer.state[parameter]`; the `safe_get_*` calls return None.
* stages 1 and 2: under autocast parameters are Float32 and whole on every worker after a step; moments lie in flat shares,
  read and written through `safe_get_full_optimizer_state` and `safe_set_full_optimizer_state`, once their state exists.
  0.19.8 links parameters to their moments after the step of the *first* parameter group, when the others have none yet
  ("exp_avg not found in optimizer state fragment"): they are linked again here.
* stage 3: weights too lie in shares (`GatheredParameters`); `safe_set_full_optimizer_state` fails when a parameter's size
  is not a multiple of the number of workers (it narrows beyond the end), so padded shares are set with the local call.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from chex_jobs.training.batch_norm import running_statistics
from chex_jobs.training.engine import Engine
from chex_jobs.training.errors import CheckpointMismatch

STEP = "step"
"""AdamW's own count of steps, kept per parameter, the same for all: every trained parameter takes part in each step."""


@dataclass(frozen=True)
class ModelState:
    """All tensors of a training on CPU, by name.

    Attributes:
        weights: parameters of the objective, Float32.
        buffers: its buffers, but for running statistics.
        statistics: BatchNorm's running statistics of each worker, [W, C].
        moments: per optimizer key (`exp_avg`, `exp_avg_sq`), the moment of each trained parameter.
        optimizer_step: the optimizer's own count of steps.
    """

    weights: dict[str, Tensor]
    buffers: dict[str, Tensor]
    statistics: dict[str, Tensor]
    moments: dict[str, dict[str, Tensor]]
    optimizer_step: float

    def is_finite(self) -> bool:
        """Whether no weight, statistic or moment is NaN or infinite."""
        moments = [tensor for named in self.moments.values() for tensor in named.values()]
        return are_finite([*self.weights.values(), *self.statistics.values(), *moments])


def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no element is NaN or infinite. Their sum tells all but one case in a hurry: an overflow of the sum itself."""
    return all(math.isfinite(float(tensor.sum())) or bool(torch.isfinite(tensor).all()) for tensor in tensors)


def gather(engine: Engine) -> ModelState | None:
    """The state on worker 0, None on the others. A collective call, after a step or before the first."""
    objective = engine.objective
    is_main = engine.worker.is_main
    weights = {
        name: _copy(_whole(engine, parameter), is_main) for name, parameter in objective.named_parameters()
    }
    statistics = gather_statistics(objective, is_main)
    varying = running_statistics(objective)
    buffers = {
        name: _copy(buffer, is_main)
        for name, buffer in _kept_buffers(objective).items()
        if name not in varying
    }
    moments, optimizer_step = _gather_moments(engine)
    return ModelState(weights, buffers, statistics, moments, optimizer_step) if is_main else None


def gather_statistics(objective: nn.Module, is_main: bool) -> dict[str, Tensor]:
    """Running statistics of all workers stacked, [W, C], on worker 0; empty on the others. A collective call."""
    own = running_statistics(objective)
    if not own:
        return {}
    flat = torch.cat([statistic.reshape(-1) for statistic in own.values()])
    rows = [torch.empty_like(flat) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, flat)
    if not is_main:
        return {}
    split = torch.stack(rows).cpu().split([statistic.numel() for statistic in own.values()], dim=1)
    return {name: part.contiguous() for name, part in zip(own, split, strict=True)}


def load_weights_and_buffers(objective: nn.Module, state: ModelState, rank: int, world_size: int) -> None:
    """Put weights, buffers and running statistics into an objective that DeepSpeed has not seen yet.

    With as many workers as wrote the state, each gets its own running statistics back, bit by bit; with another number all
    get their mean, which is what one worker with the whole batch would have.

    Raises:
        CheckpointMismatch: when names or shapes differ; the objective is then untouched.
    """
    statistics = {
        name: rows[rank] if rows.shape[0] == world_size else rows.mean(0)
        for name, rows in state.statistics.items()
    }
    stored = {**state.weights, **state.buffers, **statistics}
    own = {**dict(objective.named_parameters()), **_kept_buffers(objective)}
    _check_names(stored, own)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(stored[name])


def load_moments(engine: Engine, state: ModelState) -> None:
    """Put the optimizer's moments back, after the engine started and before its first step."""
    trained = {
        name: parameter for name, parameter in engine.objective.named_parameters() if parameter.requires_grad
    }
    for key, moments in state.moments.items():
        _check_names(moments, trained, key)
    _create_moments(engine, list(state.moments), state.optimizer_step)
    for key, moments in state.moments.items():
        for name, parameter in trained.items():
            _set_moment(engine, parameter, key, moments[name].to(engine.worker.device))


def whole_weights(engine: Engine) -> dict[str, Tensor]:
    """Weights and buffers by name, on CPU, on worker 0; empty on the others. A collective call."""
    is_main = engine.worker.is_main
    tensors = {
        name: _copy(_whole(engine, parameter), is_main)
        for name, parameter in engine.objective.named_parameters()
    }
    tensors |= {name: _copy(buffer, is_main) for name, buffer in _kept_buffers(engine.objective).items()}
    return tensors if is_main else {}


def _kept_buffers(objective: nn.Module) -> dict[str, Tensor]:
    """Buffers that are part of the state; the others (`persistent=False`) are made anew with the module."""
    kept = objective.state_dict().keys()
    return {name: buffer for name, buffer in objective.named_buffers() if name in kept}


def _copy(tensor: Tensor, is_main: bool) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous() if is_main else torch.empty(0)


def _whole(engine: Engine, parameter: nn.Parameter) -> Tensor:
    if engine.zero_stage < 3:
        return parameter
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters([parameter]):
        return parameter.detach().clone()


def _gather_moments(engine: Engine) -> tuple[dict[str, dict[str, Tensor]], float]:
    from deepspeed.utils import safe_get_full_optimizer_state

    inner = _inner_optimizer(engine)
    if inner.state:
        _link_moments(engine)
    trained = {
        name: parameter for name, parameter in engine.objective.named_parameters() if parameter.requires_grad
    }
    example = next(iter(inner.state.values()), {})
    keys = sorted(key for key, value in example.items() if isinstance(value, Tensor) and key != STEP)
    moments: dict[str, dict[str, Tensor]] = {key: {} for key in keys}
    for key in keys:
        for name, parameter in trained.items():
            whole = (
                inner.state[parameter][key]
                if engine.zero_stage == 0
                else safe_get_full_optimizer_state(parameter, key)
            )
            moments[key][name] = _copy(cast(Tensor, whole), engine.worker.is_main)
    return moments, float(example.get(STEP, 0.0))


def _inner_optimizer(engine: Engine) -> torch.optim.Optimizer:
    optimizer = engine.deepspeed.optimizer
    return optimizer if engine.zero_stage == 0 else optimizer.optimizer


def _flat_shares(engine: Engine) -> list[Tensor]:
    """The tensors that torch's optimizer holds state for."""
    optimizer = engine.deepspeed.optimizer
    if engine.zero_stage == 0:
        return [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return list(
        optimizer.fp32_partitioned_groups_flat
        if engine.zero_stage == 3
        else optimizer.single_partition_of_fp32_groups
    )


def _create_moments(engine: Engine, keys: list[str], optimizer_step: float) -> None:
    # torch makes optimizer state in the first step, which would already use it: it is made here as torch would.
    inner = _inner_optimizer(engine)
    for share in _flat_shares(engine):
        state: dict[str, Any] = {key: torch.zeros_like(share.detach()) for key in keys}
        if keys:
            state[STEP] = torch.tensor(optimizer_step, dtype=torch.float32, device=share.device)
        inner.state[share] = state
    if keys:
        _link_moments(engine)


def _link_moments(engine: Engine) -> None:
    if engine.zero_stage in (1, 2):
        engine.deepspeed.optimizer._hp_optimizer_states_linked = False
        engine.deepspeed.optimizer._lazy_init_hp_params_optimizer_state()


def _set_moment(engine: Engine, parameter: nn.Parameter, key: str, whole: Tensor) -> None:
    from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

    if engine.zero_stage == 0:
        _inner_optimizer(engine).state[parameter][key].copy_(whole)
    elif engine.zero_stage == 3:
        size = parameter.ds_tensor.numel()  # type: ignore[attr-defined]
        padded = nn.functional.pad(whole.flatten(), (0, size * engine.worker.world_size - whole.numel()))
        safe_set_local_optimizer_state(parameter, padded[engine.worker.rank * size :][:size], key)
    else:
        safe_set_full_optimizer_state(parameter, whole, key)


def _check_names(stored: dict[str, Tensor], own: dict[str, Any], what: str = "weights and buffers") -> None:
    missing, unknown = sorted(own.keys() - stored.keys()), sorted(stored.keys() - own.keys())
    reshaped = [
        name for name in sorted(stored.keys() & own.keys()) if stored[name].shape != _shape(own[name])
    ]
    if missing or unknown or reshaped:
        raise CheckpointMismatch(
            f"the checkpoint's {what} are not this model's: missing {missing[:5]}, unknown {unknown[:5]}, other shape "
            f"{reshaped[:5]} ({len(missing)}, {len(unknown)}, {len(reshaped)} in all); start with an empty artifact folder"
        )


def _shape(tensor: Tensor) -> torch.Size:
    return getattr(tensor, "ds_shape", tensor.shape)  # what stage 3 has taken apart has shape (0,)
