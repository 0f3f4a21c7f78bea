"""Films per second of the training loop against bare PyTorch of the same model, precision, memory format and batch.

    python tests/benchmarks/training_step.py [--encoder densenet121] [--size 64] [--batch 32] [--workers 1]

One worker: `run_loop` (DeepSpeed stage 0, group BatchNorm, progress, agreement between workers) against forward, backward,
clipping and fused AdamW by hand with plain BatchNorm. Goal: 0.9 of its films/s. Two workers: against
DistributedDataParallel. Both sides get the same batches from memory, so loading costs nothing, and take turns step by step,
so that other load on the machine hits both. The ratio is the median over pairs of steps.

Seen on two busy cores without AMX, 64 pixels: alone DenseNet-121 1.01 (Float32) and 0.99 (BFloat16), chex-densenet-small 0.94
and 0.93; with two workers 0.97, 0.96 and 0.94, 0.92. What is left is DeepSpeed walking over the module tree to clip and to
clear gradients (some 2 ms a step for 223 tensors), and, with two workers, reducing them after the backward pass, not in it.
BatchNorm in two groups costs another 10 to 15 %.

With one worker two more lines tell where a difference goes: `groups of half the batch` is the loop when BatchNorm has two
groups to split and join, and `without clipping` takes clipping from both sides.
"""

import argparse
import os
import socket
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from chex_api.encoder import ImageEncoder
from chex_api.objective import Objective
from chex_api.pretraining import Optimization
from chex_jobs.models import build_image_encoder
from chex_jobs.objectives import build_objective
from chex_jobs.training.batch_norm import use_group_batch_norm
from chex_jobs.training.checkpoint_policy import CheckpointPolicy
from chex_jobs.training.loop import LoopSettings, run_loop
from chex_jobs.training.process_group import WorkerRank, join

WARM_UP_STEPS = 2
NUM_TASKS = 8


@dataclass(frozen=True)
class Case:
    """What both sides train."""

    encoder: str
    size: int
    batch: int  # films on one worker
    bfloat16: bool
    clipping: float
    num_groups: int  # BatchNorm groups of a worker's batch, on our side


class TakingTurns:
    """Batches whose every step is followed by a step of the rival, both timed: other load on the machine hits both."""

    def __init__(
        self, batch: dict[str, Tensor], num_steps: int, rival_step: Callable[[dict[str, Tensor]], None]
    ) -> None:
        self.batch, self.steps_per_epoch, self.wait_seconds = batch, num_steps + WARM_UP_STEPS, 0.0
        self.rival_step = rival_step
        self.pairs: list[tuple[float, float]] = []

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[dict[str, Tensor]]:
        del epoch
        for step in range(first_step, self.steps_per_epoch):
            began = time.perf_counter()
            yield self.batch
            changed_over = time.perf_counter()
            self.rival_step(self.batch)
            if step >= WARM_UP_STEPS:
                self.pairs.append((changed_over - began, time.perf_counter() - changed_over))


def objective_of(case: Case, world_size: int, group_size: int | None) -> nn.Module:
    """The supervised objective around the encoder; plain BatchNorm when `group_size` is None."""
    encoder = build_image_encoder(ImageEncoder(architecture=case.encoder, size=case.size), 0)
    if group_size is not None:
        use_group_batch_norm(encoder, group_size)
    return build_objective(
        Objective.parse({"supervised": {}}), encoder,
        seed=0, global_batch_size=case.batch * world_size, group_size=group_size, num_tasks=NUM_TASKS,
    )  # fmt: skip


def rival_of(case: Case, worker: WorkerRank) -> Callable[[dict[str, Tensor]], None]:
    """A step by hand; under DistributedDataParallel with several workers."""
    objective = objective_of(case, worker.world_size, None)
    network: Any = nn.parallel.DistributedDataParallel(objective) if worker.world_size > 1 else objective
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-4, weight_decay=0.01, fused=True)

    def step(films: dict[str, Tensor]) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=case.bfloat16):
            loss = network(films).loss
        loss.backward()
        if case.clipping:
            torch.nn.utils.clip_grad_norm_(objective.parameters(), case.clipping)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def compare(name: str, case: Case, num_steps: int, worker: WorkerRank) -> None:
    """Let both sides take turns and print one line on worker 0."""
    random = torch.Generator().manual_seed(worker.rank)
    batch = {
        "images": torch.randint(
            0, 256, (case.batch, 1, case.size, case.size), generator=random, dtype=torch.uint8
        ),
        "labels": torch.randint(0, 2, (case.batch, NUM_TASKS), generator=random).float(),
    }
    batches = TakingTurns(batch, num_steps, rival_of(case, worker))
    optimization = Optimization(
        global_batch_size=case.batch * worker.world_size,
        epochs=1,
        learning_rate=1e-4,
        gradient_clipping=case.clipping,
    )
    settings = LoopSettings(optimization, case.bfloat16, 0, 0, CheckpointPolicy(every_minutes=None))
    run_loop(objective_of(case, worker.world_size, case.batch // case.num_groups), batches, settings, worker)
    if worker.is_main:
        films = case.batch * worker.world_size
        our_rate, rival_rate = (films / statistics.median(side) for side in zip(*batches.pairs, strict=True))
        ratios = [theirs / own for own, theirs in batches.pairs]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{name:<42} {our_rate:8.1f} {rival_rate:8.1f}   {middle:5.2f}   ({low:.2f} to {high:.2f})",
            flush=True,
        )


def measure(arguments: argparse.Namespace, worker: WorkerRank) -> None:
    """All cases on this worker."""
    if worker.is_main:
        rival = "bare" if worker.world_size == 1 else "DDP"
        print(
            f"{arguments.encoder}, {arguments.size} px, {worker.world_size} x {arguments.batch} films, films/s"
        )
        print(f"{'':<42} {'ours':>8} {rival:>8}   ratio   (middle half of the steps)")
    for bfloat16 in (False, True):
        precision = "BFloat16" if bfloat16 else "Float32"
        case = Case(arguments.encoder, arguments.size, arguments.batch, bfloat16, 1.0, 1)
        compare(precision, case, arguments.steps, worker)
        if worker.world_size == 1:
            halves = Case(arguments.encoder, arguments.size, arguments.batch, bfloat16, 1.0, 2)
            compare(f"{precision}, groups of half the batch", halves, arguments.steps, worker)
    if worker.world_size == 1:
        unclipped = Case(arguments.encoder, arguments.size, arguments.batch, False, 0.0, 1)
        compare("Float32, without clipping", unclipped, arguments.steps, worker)


def worker(rank: int, port: int, arguments: argparse.Namespace) -> None:
    """One of several workers over gloo."""
    torch.set_num_threads(1)
    # Of DistributedDataParallel: channels_last activations give gradients of 1x1 filters other strides of the same memory.
    warnings.filterwarnings("ignore", "Grad strides do not match")
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(arguments.workers), **address)
    if arguments.workers > 1:
        dist.init_process_group("gloo", rank=rank, world_size=arguments.workers)
    measure(arguments, join())


def main() -> None:
    """Read arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="densenet121")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32, help="films on one worker")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    if arguments.workers == 1:
        worker(0, 0, arguments)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(worker, (port, arguments), nprocs=arguments.workers)  # pyright: ignore[reportPrivateImportUsage]


if __name__ == "__main__":
    main()
