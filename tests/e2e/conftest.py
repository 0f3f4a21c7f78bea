"""The cluster that the environment names."""

import os

import pytest

from tests.e2e.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    missing = [name for name in ("CHEX_E2E_RUNTIME", "CHEX_E2E_ARTIFACTS") if not os.environ.get(name)]
    if missing:
        pytest.fail(f"set {' and '.join(missing)}; tests/e2e/__init__.py says to what", pytrace=False)
    return Cluster(
        os.environ.get("CHEX_E2E_NAMESPACE", "default"),
        os.environ["CHEX_E2E_RUNTIME"],
        os.environ["CHEX_E2E_ARTIFACTS"],
    )
