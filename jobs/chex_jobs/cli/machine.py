"""What this machine has for a run."""

import os

from chex_jobs.cli.cuda_devices import visible_devices
from chex_jobs.data.cores import usable_cores
from chex_jobs.handover.context import Machine


def this_machine(cpus: int | None) -> Machine:
    """Cores that this process may use, or fewer, and CUDA devices that it may see."""
    available = usable_cores()
    return Machine(
        cpus=min(cpus, available) if cpus else available,
        gpus=len(visible_devices(os.environ.get("CUDA_VISIBLE_DEVICES"))),
    )
