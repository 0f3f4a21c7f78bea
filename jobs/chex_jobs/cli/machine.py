"""What this machine has for a run."""

import os
from pathlib import Path

from chex_jobs.stages.context import Machine


def this_machine(cpus: int | None) -> Machine:
    """Cores that this process may use, or fewer, and CUDA devices (found without loading torch)."""
    available = len(os.sched_getaffinity(0))
    gpus = (
        len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
        if Path("/proc/driver/nvidia/gpus").is_dir()
        else 0
    )
    return Machine(cpus=min(cpus, available) if cpus else available, gpus=gpus)
