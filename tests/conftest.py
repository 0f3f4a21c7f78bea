"""What several tiers share: how two processes divide them, and one run, since it takes minutes."""

from __future__ import annotations

import fcntl
import pickle
import signal
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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


TIERS = ("tests/pipeline/", "tests/apiserver/", "tests/ray/training/", "tests/ray/")
"""Tiers whose servers and clusters are started once for all of their tests, the longest first."""


class _ByTier(LoadScopeScheduling):
    """Divides the tests among processes (`make test`): a tier stays whole, of the others each file does.

    Most of a tier's time it waits for other processes, so that two cores do two tiers in little more time than one.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _tier(nodeid) or nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """The scheduler of `-n`."""
    return _ByTier(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let a process of several begin with the longest tiers."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: TIERS.index(tier) if (tier := _tier(item.nodeid)) else len(TIERS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports go from process to process as UTF-8, which has no lone surrogates, and some tests log them."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def _tier(nodeid: str) -> str:
    return next((tier for tier in TIERS if nodeid.startswith(tier)), "")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The tiny job, run once from start to end into a folder, whatever number of processes ask for it."""
    from tests.pipeline.undisturbed import run_undisturbed  # imports what most tests do without

    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if own.name.startswith("popen-") else own) / "undisturbed"
    shared.mkdir(exist_ok=True)
    finished = shared / "finished.pickle"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            finished.write_bytes(pickle.dumps(run_undisturbed(shared)))
        return pickle.loads(finished.read_bytes())
