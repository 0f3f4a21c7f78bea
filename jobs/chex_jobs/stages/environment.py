"""What a stage was computed on: recorded in its manifest, no part of any identity."""

import os
import platform
from importlib.metadata import version

from chex_jobs.handover.context import Machine

PACKAGES = ("chexdragon", "torch", "deepspeed", "ray", "transformers", "timm", "numpy", "scikit-learn")


def describe_environment(machine: Machine) -> dict[str, str]:
    """Versions, devices and, where the image says so, its digest. Names no host and no user."""
    described = {name: version(name) for name in PACKAGES}
    described["python"] = platform.python_version()
    described["platform"] = f"{platform.system()} {platform.machine()}"
    described["cpus"] = str(machine.cpus)
    described["gpus"] = str(machine.gpus)
    if digest := os.environ.get("CHEX_IMAGE_DIGEST"):
        described["image"] = digest
    return described
