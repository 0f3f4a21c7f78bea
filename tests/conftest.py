"""What several tiers share: one run, since it takes minutes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.pipeline.undisturbed import FinishedRun


# How long an example takes depends on what else the machine does, and is no test.
settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Take back what `nohup` or a shell's `&` had ignored: programs that tests start inherit it, and many get signals."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The tiny job, run once from start to end into a folder."""
    from tests.pipeline.undisturbed import run_undisturbed  # imports what most tests do without

    return run_undisturbed(tmp_path_factory.mktemp("undisturbed"))
