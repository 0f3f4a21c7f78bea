"""The process group and the device of this process.

Inside a Ray Train worker the group exists already. Anywhere else (a warm Tune actor, a test) a group of one is made the
first time and kept as long as the process lives: destroying one and making another per training leaks its threads.
"""

import logging
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerRank:
    """Where this process stands: its rank among `world_size` workers, and its device."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this worker reports and stores for all."""
        return self.rank == 0


def join() -> WorkerRank:
    """This process's place; makes a process group of one where there is none."""
    on_gpu = torch.cuda.is_available()
    if not dist.is_initialized():
        # DeepSpeed reads these and nothing else; without LOCAL_RANK it refuses to start.
        os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
        store = dist.HashStore()  # pyright: ignore[reportPrivateImportUsage]  # in memory: no port, no address
        dist.init_process_group("nccl" if on_gpu else "gloo", store=store, rank=0, world_size=1)
    return WorkerRank(dist.get_rank(), dist.get_world_size(), _gpu() if on_gpu else torch.device("cpu"))


def _gpu() -> torch.device:
    """This worker's GPU. Workers of one node see all of its GPUs, in Ray Train as elsewhere; DeepSpeed goes by LOCAL_RANK."""
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


def prepare_deepspeed() -> None:
    """Make `import deepspeed` choose this machine's device, speak only of problems, and compile nothing.

    Its shared-memory collectives for CPU are built with a C++ compiler when the first engine starts (32 s, trap of
    0.19.8), and are used by inference alone: training goes through torch.distributed. They are declared incompatible, so
    that a worker needs neither compiler nor cache. Remove this when `comm/torch.py` builds them on first use.
    """
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    # The logger takes its level when deepspeed is imported, so it is set before and after.
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    import deepspeed
    from deepspeed.utils import logger

    logger.setLevel(logging.ERROR)
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
