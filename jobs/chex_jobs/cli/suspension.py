"""`spec.runPolicy.suspend`, which is how people stop and resume a job."""

import json

from chex_jobs.cli.kubectl import FIELD_MANAGER, RESOURCE, Kubectl


def set_suspended(kubectl: Kubectl, name: str, suspended: bool) -> None:
    """Ask the operator to stop a job with a checkpoint, or to go on with it. Raises `KubectlFailed`."""
    patch = json.dumps({"spec": {"runPolicy": {"suspend": suspended}}})
    kubectl.call("patch", RESOURCE, name, "--type=merge", FIELD_MANAGER, f"--patch={patch}")
