"""The run that the killed ones are compared with, and the API server of the killed operators."""

from tests.apiserver.conftest import api_server, cluster, controllers, engine
from tests.pipeline.conftest import undisturbed

__all__ = ["api_server", "cluster", "controllers", "engine", "undisturbed"]
