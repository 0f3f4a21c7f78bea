"""What several tiers share: one run, since it takes minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline.undisturbed import FinishedRun


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The tiny job, run once from start to end into a folder."""
    from tests.pipeline.undisturbed import run_undisturbed  # imports what most tests do without

    return run_undisturbed(tmp_path_factory.mktemp("undisturbed"))
