"""Where a Pod's files are: in fixed places, unless the environment names others, for a process that runs outside a Pod."""

from collections.abc import Mapping
from pathlib import Path

from chex_api.attempt import MOUNTED_FOLDER

MOUNTED_VARIABLE = "CHEX_MOUNTED_FOLDER"
SERVICE_ACCOUNT_VARIABLE = "CHEX_SERVICE_ACCOUNT_FOLDER"
SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"


def mounted(environment: Mapping[str, str]) -> Path:
    """What the operator mounted: what is to be done, and by which attempt."""
    return Path(environment.get(MOUNTED_VARIABLE, MOUNTED_FOLDER))


def service_account(environment: Mapping[str, str]) -> Path:
    """The Pod's token and the certificate of its API server, put there by the kubelet."""
    return Path(environment.get(SERVICE_ACCOUNT_VARIABLE, SERVICE_ACCOUNT_FOLDER))
