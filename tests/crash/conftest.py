"""The API server of the operators that are killed."""

from tests.apiserver.conftest import api_server, cluster, controllers, engine

__all__ = ["api_server", "cluster", "controllers", "engine"]
