"""`chex report`."""

import argparse
import sys
from pathlib import Path

from chex_api.plan import make_plan
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.cli.main import FAILED
from chex_jobs.cli.manifests import load
from chex_jobs.preflight import run_preflight


def execute(arguments: argparse.Namespace) -> int:
    """Print where the report of a finished run lies, or save it."""
    job = load(arguments)
    plan = make_plan(job, run_preflight(job).digests)
    stage = plan.stages[-1]
    report = (
        ArtifactStore.open(job.spec.artifacts.uri).stage(stage.kind, stage.name, stage.identity).finished()
    )
    if report is None:
        print(
            f"chex report: this manifest has no finished report; run: chex run {arguments.manifest}",
            file=sys.stderr,
        )
        return FAILED
    if arguments.save is None:
        print(report.summary["page"])
        return 0
    _save(report, Path(arguments.save))
    return 0


def _save(report: FinishedArtifact, folder: Path) -> None:
    for path in report.files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(report.read_bytes(path))
    print(folder / "report.html")
