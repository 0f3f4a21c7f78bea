"""Several processes with gloo, and the training that they do: what one process must be equal to."""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn

from chex_api.objective import Clip, MoCo, Objective, Supervised
from chex_jobs.objectives import build_objective
from tests.unit.objectives import towers

GLOBAL_BATCH = 32
GROUP = 8
STEPS = 3
LEARNING_RATE = 2e-5


@dataclass
class Training:
    """What a few SGD steps left: losses and gradients of each step, parameters and buffers at the end."""

    losses: list[float]
    metrics: list[dict[str, float]]
    gradients: list[dict[str, torch.Tensor]]
    parameters: dict[str, torch.Tensor]
    buffers: dict[str, torch.Tensor]


def objective(name: str) -> nn.Module:
    """One of the three, small."""
    settings = {
        "moCo": Objective(moCo=MoCo(queue_size=4 * GLOBAL_BATCH, momentum=0.9, projection_dim=16)),
        "clip": Objective(clip=Clip(projection_dim=16)),
        "supervised": Objective(supervised=Supervised()),
    }
    return build_objective(
        settings[name],
        towers.grouped_image_encoder(GROUP),
        towers.text_encoder(),
        seed=0,
        global_batch_size=GLOBAL_BATCH,
        group_size=GROUP,
        num_tasks=3,
        positive_weights=torch.tensor([1.0, 2.0, 0.5]),
    )


def train(name: str, dtype: torch.dtype, rank: int = 0, world_size: int = 1) -> Training:
    """Plain SGD, gradients averaged over ranks as DDP and DeepSpeed do."""
    torch.set_num_threads(1)
    module = objective(name).to(dtype)
    if dtype == torch.float32:
        towers.smoothed(module)
    parameters = {key: value for key, value in module.named_parameters() if value.requires_grad}
    found = Training([], [], [], {}, {})
    for step in range(STEPS):
        per_rank = GLOBAL_BATCH // world_size
        everything = towers.batch(step, GLOBAL_BATCH)
        if (
            dtype == torch.float64
        ):  # which negatives are left out is no matter of precision: tested where all is exact
            groups = everything["text_group"]
            everything["study_text_groups"] = torch.stack([groups, groups.roll(1)], dim=1)
            everything["ordinals"] = (torch.arange(GLOBAL_BATCH) + step) % (GLOBAL_BATCH + 1)
        if name == "supervised" and step == 0:
            everything["labels"][GLOBAL_BATCH // 2 :] = torch.nan  # nothing known on rank 1 of 2
        loss, metrics = module(towers.rows(everything, slice(rank * per_rank, (rank + 1) * per_rank)))
        gradients = _averaged(torch.autograd.grad(loss, list(parameters.values())), world_size)
        found.gradients.append(dict(zip(parameters, gradients, strict=True)))
        with torch.no_grad():
            for parameter, gradient in zip(parameters.values(), gradients, strict=True):
                parameter -= LEARNING_RATE * gradient
        found.losses.append(loss.item())
        found.metrics.append({key: value.item() for key, value in metrics.items()})
    found.parameters = {key: value.detach() for key, value in module.named_parameters()}
    found.buffers = dict(module.named_buffers())
    return found


def _averaged(gradients: Sequence[torch.Tensor], world_size: int) -> list[torch.Tensor]:
    if world_size > 1:
        for gradient in gradients:
            dist.all_reduce(gradient)
    return [gradient / world_size for gradient in gradients]


def on_ranks(world_size: int, work: Callable[[int, int], Any], folder: Path) -> list[Any]:
    """Run `work(rank, world_size)` in processes of one gloo group; return what each gave, by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(_process, args=(world_size, port, work, folder), nprocs=world_size)
    return [torch.load(folder / f"rank{rank}.pt", weights_only=False) for rank in range(world_size)]


def _process(rank: int, world_size: int, port: int, work: Callable[[int, int], Any], folder: Path) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world_size)
    try:
        torch.save(work(rank, world_size), folder / f"rank{rank}.pt")
    finally:
        dist.destroy_process_group()


CASES = [(name, dtype) for name in ("moCo", "clip", "supervised") for dtype in (torch.float32, torch.float64)]


def all_cases(rank: int, world_size: int) -> dict[Any, Any]:
    """Everything the tests ask of two ranks, in one pair of processes: they take seconds to start."""
    return {case: train(*case, rank, world_size) for case in CASES} | {"gather": _gather_case(rank)}


def _gather_case(rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gathered rows, and the gradient of this rank's rows when rank r weighs the gathered row j by 10 r + j."""
    from chex_jobs.objectives import gather_with_gradient

    own = torch.tensor([[float(rank)], [rank + 0.5]], requires_grad=True)
    gathered = gather_with_gradient(own)
    weights = 10.0 * rank + torch.arange(4.0)[:, None]
    (gathered * weights).sum().backward()
    assert own.grad is not None
    return gathered.detach(), own.grad
