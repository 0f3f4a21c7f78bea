"""`chex validate`."""

import argparse
import sys

from chex_api.encoder import OWN_ARCHITECTURES
from chex_api.faults import Fault
from chex_api.job import ChexTrainingJob
from chex_api.loading import load_job
from chex_jobs.cli.main import WRONG_USAGE
from chex_jobs.cli.manifests import InvalidManifest, read_text, report_faults
from chex_jobs.cli.output import print_plain


def execute(arguments: argparse.Namespace) -> int:
    """Name every fault of a manifest; 0 if it has none, else 2."""
    try:
        loaded = load_job(read_text(arguments.manifest))
        faults = loaded.faults or _architecture_faults(loaded.job)
    except InvalidManifest as error:
        faults = error.faults
    if arguments.output:
        plain = {
            "valid": not faults,
            "faults": [{"path": fault.path, "message": fault.message} for fault in faults],
        }
        print_plain(plain, arguments.output)
    elif faults:
        report_faults(arguments.manifest, faults)
        print(f"{len(faults)} fault{'s' if len(faults) > 1 else ''}", file=sys.stderr)
    else:
        print(f"{arguments.manifest}: valid")
    return WRONG_USAGE if faults else 0


def _architecture_faults(job: ChexTrainingJob | None) -> tuple[Fault, ...]:
    """An image encoder of timm is looked up there, which the API server cannot do: it knows no list of them."""
    if job is None or job.spec.encoders.image.architecture in OWN_ARCHITECTURES:
        return ()
    from chex_jobs.preflight.towers import architecture_faults

    return tuple(architecture_faults(job.spec))
