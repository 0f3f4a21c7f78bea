"""The command line of the operator: all of its configuration."""

import argparse
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How this replica runs.

    Attributes:
        namespace: the only one that is served; None for all.
        lease_namespace: where the Lease lies.
        lease_name: replicas that share it take turns.
        identity: of this process alone.
        port: of /healthz, /readyz and /metrics; 0 for any that is free.
        concurrency: passes over jobs at the same time.
        log_level: as `logging` names it.
    """

    namespace: str | None
    lease_namespace: str
    lease_name: str
    identity: str
    port: int
    concurrency: int
    log_level: str


def parse_options(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None
) -> Options:
    """Read the command line. Raises `SystemExit` for wrong usage, as argparse does."""
    environment = os.environ if environment is None else environment
    parser = argparse.ArgumentParser(
        prog="python -m chex_operator", description="Runs ChexTrainingJobs on Ray clusters of KubeRay."
    )
    parser.add_argument("--namespace", help="serve this namespace only (default: all)")
    parser.add_argument(
        "--lease-namespace",
        default=environment.get("POD_NAMESPACE"),
        help="namespace of the Lease (default: $POD_NAMESPACE)",
    )
    parser.add_argument(
        "--lease-name", default="chex-operator", help="name of the Lease (default: %(default)s)"
    )
    parser.add_argument(
        "--identity",
        default=environment.get("POD_NAME", "chex-operator"),
        help="of this replica (default: $POD_NAME)",
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="of /healthz, /readyz and /metrics (default: %(default)s)"
    )
    parser.add_argument(
        "--concurrency", type=int, default=16, help="passes over jobs at the same time (default: %(default)s)"
    )
    parser.add_argument(
        "--log-level",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="(default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    if not given.lease_namespace:
        parser.error("--lease-namespace is required where POD_NAMESPACE is not set")
    if not 1 <= given.concurrency <= 256:
        parser.error("--concurrency must be from 1 to 256")
    return Options(
        namespace=given.namespace or None,
        lease_namespace=given.lease_namespace,
        lease_name=given.lease_name,
        identity=f"{given.identity}-{uuid.uuid4().hex[:8]}",
        port=given.port,
        concurrency=given.concurrency,
        log_level=given.log_level,
    )
