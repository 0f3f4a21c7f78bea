"""One Ray on this machine, small and quiet, gone when the run ends."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from chex_jobs.executor.ray_folder import ray_folder
from chex_jobs.executor.signals import kept_from_ray
from chex_jobs.handover.context import Machine

OBJECT_STORE_BYTES = 256 * 1024**2
"""Films travel through files, not through Ray: a small store leaves memory to the workers."""

SETTINGS = {
    # Ray Train polls its workers every 2 s by default: an empty run takes 13 s with that, 9 s with this.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    # No usage statistics leave a hospital.
    "RAY_USAGE_STATS_ENABLED": "0",
    # The driver predicts and exports beside Ray's own processes: threads that spin for each other made that ten times slower
    # on a busy machine, and sums in another order are other numbers.
    "OMP_NUM_THREADS": "1",
}

_is_out_of_reach = False


def _leave_the_terminal() -> None:
    if _is_out_of_reach:
        os.setsid()


os.register_at_fork(after_in_child=_leave_the_terminal)


@contextmanager
def _out_of_reach() -> Iterator[None]:
    """Programs that this process starts in the block get a session of their own.

    A closed terminal, `timeout` and `kill -- -GROUP` send their signal to all of a group. Ray's processes would die of it before a
    checkpoint is stored; Ray keeps only SIGINT from them. They still end with this process: the kernel kills them when it dies.
    Elsewhere than on Linux a process of Ray's does that, which has to stay in their group.
    """
    global _is_out_of_reach
    _is_out_of_reach = sys.platform == "linux"
    try:
        yield
    finally:
        _is_out_of_reach = False


@contextmanager
def local_ray(machine: Machine) -> Iterator[None]:
    """Start Ray with this machine's cores, and stop it however the block ends."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    # `address="local"`: a stale address file of another cluster makes a plain init raise.
    # No dashboard: 1 GB less memory and a second less start; no trial here is killed by Tune, which alone needs it.
    with ray_folder() as folder:
        try:
            with kept_from_ray(), _out_of_reach():
                ray.init(
                    address="local",
                    num_cpus=machine.cpus,
                    num_gpus=machine.gpus,
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=folder,
                )
            yield
        finally:
            ray.shutdown()
