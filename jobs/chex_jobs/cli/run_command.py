"""`chex run`."""

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.cli.arguments import called
from chex_jobs.cli.machine import this_machine
from chex_jobs.cli.main import FAILED, INTERRUPTED
from chex_jobs.cli.manifests import load
from chex_jobs.cli.progress import JsonLinesObserver, PeopleObserver
from chex_jobs.cli.report_copy import CARD, PAGE
from chex_jobs.executor.local import LocalExecutor, RunOutcome
from chex_jobs.stages.context import StageStopped
from chex_jobs.stages.errors import StageFailed


def execute(arguments: argparse.Namespace) -> int:
    """Run a manifest to its report; Ctrl-C stops at the next safe point."""
    job = load(arguments)
    observer = JsonLinesObserver() if arguments.json_lines else PeopleObserver(live=sys.stderr.isatty())
    stop = threading.Event()
    try:
        with _stopping_on_signals(stop):
            outcome = LocalExecutor(job, this_machine(arguments.cpus), observer, stop).run()
    except StageFailed as error:
        observer.interrupted()
        print(f"chex run: {error}", file=sys.stderr)
        print(f"chex run: what is finished is kept; go on with: {_same_command()}", file=sys.stderr)
        return FAILED
    except (StageStopped, KeyboardInterrupt):
        observer.interrupted()
        print(f"chex run: stopped; what is finished is kept. Go on with: {_same_command()}", file=sys.stderr)
        return INTERRUPTED
    if not arguments.json_lines:
        _print_outcome(outcome)
    return 0


def _print_outcome(outcome: RunOutcome) -> None:
    told = outcome.report()
    for line in conclusions(FinishedArtifact.open(told.manifest_uri, told.manifest_sha256)):
        print(line)


def conclusions(report: FinishedArtifact) -> Iterator[str]:
    """What was found for each hospital, where its model lies, and the page; places as they are now."""
    models = report.summary["models"]
    for hospital, sentence in report.summary["conclusions"].items():
        yield f"{hospital}: {sentence}"
        if hospital in models:
            yield f"  model: {report.uri_of(f'{models[hospital]}/{CARD}').rpartition('/')[0]}"
    if report.summary["generatedFilms"]:
        yield "generated films: nothing here is accuracy"
    yield f"report: {report.uri_of(PAGE)}"


def _same_command() -> str:
    return " ".join([called(), *(shlex.quote(word) for word in sys.argv[1:])])


@contextmanager
def _stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks for a stop; the second one does not wait for it."""

    def ask(_signal: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print("\nchex run: stopping at the next safe point; once more to stop at once", file=sys.stderr)

    earlier = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
