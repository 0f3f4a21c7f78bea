"""DeepSpeed around an objective: configuration, traps, start and end of an engine.

Traps of DeepSpeed 0.19.8 that this module handles; each has a test that names it:

* `gradient_clipping` defaults to 1.0, not to off (deepspeed#8068): always set, 0 for off.
* parameters whose memory is not contiguous (channels_last), and parameters without dimensions, crash `initialize`
  (`_broadcast_model` views their bytes): refused beforehand with their names. Inputs are channels_last instead.
* `bf16.enabled` casts parameters but not buffers (deepspeed#8066), and BatchNorm refuses the mixture: precision
  BFloat16 is `torch_autocast`, never `bf16`.
* under `torch_autocast`, ZeRO 1-3 would reduce gradients of Linear and Conv in BFloat16 where stage 0 does so in Float32:
  `lower_precision_safe_modules` is emptied, so that the stage does not change the maths.
* DeepSpeed's own Adam compiles for a minute when first used: the optimizer is torch's.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from chex_jobs.objectives.clip import LogitScale
from chex_jobs.training.errors import UnsupportedParameter
from chex_jobs.training.optimizer import set_learning_rate
from chex_jobs.training.process_group import WorkerRank, prepare_deepspeed

NEVER = 1_000_000_000  # steps between DeepSpeed's own prints


def config(
    batch_per_worker: int, gradient_clipping: float, zero_stage: int, bfloat16: bool
) -> dict[str, Any]:
    """The DeepSpeed configuration of a run. Every value that 0.19.8 would otherwise choose for us stands here."""
    return {
        "train_micro_batch_size_per_gpu": batch_per_worker,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": gradient_clipping,
        "zero_optimization": {"stage": zero_stage},
        "zero_allow_untested_optimizer": True,
        "torch_autocast": {"enabled": bfloat16, "dtype": "bfloat16", "lower_precision_safe_modules": []},
        "steps_per_print": NEVER,
    }


def check_parameters(module: nn.Module) -> None:
    """Raise `UnsupportedParameter`, naming all parameters that DeepSpeed would crash on."""
    scalars = [name for name, parameter in module.named_parameters() if parameter.ndim == 0]
    strided = [name for name, parameter in module.named_parameters() if not parameter.is_contiguous()]
    if scalars or strided:
        raise UnsupportedParameter(
            f"DeepSpeed cannot broadcast these parameters: without dimensions {scalars} (give them shape (1,)); "
            f"not contiguous, such as channels_last {strided} (call .contiguous(), make the inputs channels_last instead)"
        )


class _Step(nn.Module):
    """An objective whose output DeepSpeed understands: it finds tensors in tuples, not in `Loss`."""

    def __init__(self, objective: nn.Module) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        output = self.objective(batch)
        return output.loss, {name: value.detach() for name, value in output.metrics.items()}


class Engine:
    """One objective under DeepSpeed, from `start` to `close`. Use as a context manager."""

    def __init__(
        self,
        objective: nn.Module,
        optimizer: torch.optim.Optimizer,
        worker: WorkerRank,
        *,
        batch_per_worker: int,
        gradient_clipping: float,
        zero_stage: int,
        bfloat16: bool,
    ) -> None:
        """Wrap `objective`; weights are broadcast from worker 0.

        Raises:
            UnsupportedParameter: see `check_parameters`.
        """
        check_parameters(objective)
        prepare_deepspeed()
        import deepspeed

        self.objective, self.worker, self.zero_stage = objective, worker, zero_stage
        self.deepspeed: Any = deepspeed.initialize(
            model=_Step(objective),
            optimizer=optimizer,
            config=config(batch_per_worker, gradient_clipping, zero_stage, bfloat16),
        )[0]

        # Alone and undivided there is nothing to reduce: DeepSpeed would flatten, copy and copy back all gradients.
        self._alone = worker.world_size == 1 and zero_stage == 0
        self.deepspeed.enable_backward_allreduce = not self._alone
        self._scales = [
            module.logit_scale for module in objective.modules() if isinstance(module, LogitScale)
        ]
        self._trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self, batch: Mapping[str, Tensor], learning_rate: float) -> tuple[Tensor, dict[str, Tensor]]:
        """One optimizer step; returns this worker's loss and metrics, still on the device, without graph."""
        set_learning_rate(self.deepspeed.optimizer, learning_rate)
        loss, metrics = self.deepspeed(batch)
        self.deepspeed.backward(loss)
        if self._alone:
            self._fill_missing_gradients()
        self.deepspeed.step()
        for parameter in self._scales:
            for values in self._stored_values(parameter):
                LogitScale.project(values)
        return loss.detach(), metrics

    def _stored_values(self, parameter: Any) -> list[Tensor]:
        """Where this worker holds a parameter, or its share of it: all that the next step starts from."""
        if self.zero_stage == 0:
            return [parameter]
        if self.zero_stage == 3:
            from deepspeed.utils import safe_get_local_fp32_param

            return [parameter.ds_tensor, safe_get_local_fp32_param(parameter)]
        mapping = parameter._hp_mapping  # None where another worker holds it
        return [parameter] if mapping is None else [parameter, mapping.hp_fragment]

    def _fill_missing_gradients(self) -> None:
        """A parameter without gradient gets zeros, as reducing gives it: else AdamW would decay it with several workers only."""
        for parameter in self._trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def close(self) -> None:
        """Let go of hooks and buffers, so that the next training in this process starts clean."""
        self.deepspeed.destroy()
        self.deepspeed.optimizer = None
        self._trained.clear()
        self._scales.clear()
        self.deepspeed.module_forward_pre_hook.remove()
        self.deepspeed.module_forward_post_hook.remove()
        if self.zero_stage == 3:
            _forget_module()


def _forget_module() -> None:
    """Empty what ZeRO-3 keeps globally, and what would keep every engine and model of this process alive.

    A stack that it puts the module on and never takes it off, and an `lru_cache` on a method of its coordinator.
    """
    from deepspeed.runtime.zero import parameter_offload
    from deepspeed.runtime.zero.partitioned_param_coordinator import PartitionedParameterCoordinator

    parameter_offload.FWD_MODULE_STACK.clear()
    method: Any = vars(PartitionedParameterCoordinator)["_PartitionedParameterCoordinator__params_to_release"]
    for cell in method.__closure__:  # the cache is inside a decorator that hides it
        if hasattr(cell.cell_contents, "cache_clear"):
            cell.cell_contents.cache_clear()
