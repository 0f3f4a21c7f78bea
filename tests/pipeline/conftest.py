"""One undisturbed run of the tiny job, which the others are compared with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.manifest import tiny_job
from tests.pipeline.runs import Event, results_of, run_to_end
from tests.s3.fixtures import versitygw_server

__all__ = ["versitygw_server"]


@dataclass(frozen=True)
class FinishedRun:
    """A run that nothing disturbed."""

    manifest: dict[str, Any]
    folder: Path
    events: list[Event]
    results: dict[str, Any]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The tiny job, run once from start to end into a folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    manifest = tiny_job(f"file://{folder}/artifacts")
    events = run_to_end(manifest, folder)
    return FinishedRun(manifest, folder, events, results_of(manifest))
