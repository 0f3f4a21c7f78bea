"""Plain worker processes joined over gloo: what Ray Train gives, without Ray."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from chex_jobs.training.process_group import WorkerRank, join

Scenario = Callable[[WorkerRank, Path], None]


def run_workers(scenario: Scenario, world_size: int, folder: Path) -> None:
    """Run `scenario(worker, folder)` in `world_size` new processes; fails with the traceback of the first that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    mp.spawn(_worker, (world_size, _free_port(), scenario, folder), nprocs=world_size)  # pyright: ignore[reportPrivateImportUsage]


def _worker(rank: int, world_size: int, port: int, scenario: Scenario, folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    dist.init_process_group("gloo", rank=rank, world_size=world_size)
    scenario(join(), folder)
    dist.destroy_process_group()
    _leave()


def _leave() -> None:
    """End this process without taking the interpreter down.

    DeepSpeed keeps its groups (`deepspeed.utils.groups`), so gloo's threads outlive `destroy_process_group`. One that lets
    go of the last collective's tensor while the interpreter is taken down aborts the process: "terminate called without an
    active exception", https://github.com/pytorch/pytorch/pull/179291.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
