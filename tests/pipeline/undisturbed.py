"""One undisturbed run of the tiny job, which others are compared with: killed, repeated, in S3, in a cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pipeline.manifest import tiny_job
from tests.pipeline.runs import Event, results_of, run_to_end


@dataclass(frozen=True)
class FinishedRun:
    """A run that nothing disturbed."""

    manifest: dict[str, Any]
    folder: Path
    events: list[Event]
    results: dict[str, Any]


def run_undisturbed(folder: Path) -> FinishedRun:
    """Run the tiny job from start to end into a folder."""
    manifest = tiny_job(f"file://{folder}/artifacts")
    events = run_to_end(manifest, folder)
    return FinishedRun(manifest, folder, events, results_of(manifest))
