"""The run that the killed ones are compared with."""

from tests.pipeline.conftest import undisturbed

__all__ = ["undisturbed"]
