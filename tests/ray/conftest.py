"""Ray for the tests of a file: started before its first, stopped after its last, so that no file meets another's."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from chex_jobs.executor.local_ray import SETTINGS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def two_core_ray() -> Iterator[None]:
    """Ray with two cores, whose workers can import the tests."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SETTINGS.items():
            environment.setenv(name, value)
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=128 << 20,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}},
        )
        try:
            yield
        finally:
            ray.shutdown()
