"""`chex run`."""

import argparse
import shlex
import sys
import threading
from collections.abc import Iterator

from chex_api.summaries import ReportSummary
from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.cli.arguments import called
from chex_jobs.cli.machine import this_machine
from chex_jobs.cli.main import FAILED, INTERRUPTED
from chex_jobs.cli.manifests import load
from chex_jobs.cli.progress import JsonLinesObserver, PeopleObserver
from chex_jobs.cli.terminal import tell
from chex_jobs.executor.local import LocalExecutor, RunOutcome
from chex_jobs.executor.signals import StopSignals
from chex_jobs.handover.context import StageStopped
from chex_jobs.handover.files import MODEL_CARD, PAGE
from chex_jobs.stages.errors import StageFailed


def execute(arguments: argparse.Namespace) -> int:
    """Run a manifest to its report; Ctrl-C stops at the next safe point."""
    job = load(arguments)
    observer = JsonLinesObserver() if arguments.json_lines else PeopleObserver(sys.stderr)
    stop = threading.Event()
    signals = StopSignals(
        stop, lambda: _say("stopping at the next safe point; Ctrl-C to stop at once", before="\n")
    )
    try:
        with signals:
            outcome = LocalExecutor(job, this_machine(arguments.cpus), observer, stop).run()
    except StageFailed as error:
        observer.interrupted()
        _say(str(error))
        _say(f"what is finished is kept; go on with: {_same_command()}")
        return FAILED
    except (StageStopped, KeyboardInterrupt):
        observer.interrupted()
        _say(f"stopped; what is finished is kept. Go on with: {_same_command()}")
        return signals.exit_code or INTERRUPTED
    if not arguments.json_lines:
        _print_outcome(outcome)
    return 0


def _say(text: str, before: str = "") -> None:
    tell(f"{before}chex run: {text}", sys.stderr)


def _print_outcome(outcome: RunOutcome) -> None:
    told = outcome.report()
    for line in conclusions(FinishedArtifact.open(told.manifest_uri, told.manifest_sha256)):
        print(line)


def conclusions(report: FinishedArtifact) -> Iterator[str]:
    """What was found for each hospital, where its model lies, and the page; places as they are now."""
    summary = ReportSummary.parse(report.summary)
    for hospital, sentence in summary.conclusions.items():
        yield f"{hospital}: {sentence}"
        if hospital in summary.models:
            yield f"  model: {report.uri_of(f'{summary.models[hospital]}/{MODEL_CARD}').rpartition('/')[0]}"
    if summary.generated_films:
        yield "generated films: nothing here is accuracy"
    yield f"report: {report.uri_of(PAGE)}"


def _same_command() -> str:
    return " ".join([called(), *(shlex.quote(word) for word in sys.argv[1:])])
