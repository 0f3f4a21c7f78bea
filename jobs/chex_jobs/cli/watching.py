"""Following a job until it has ended: a live page on a terminal, a line for each change elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, TextIO

from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.kubectl import Kubectl, KubectlFailed
from chex_jobs.cli.live_screen import LiveScreen
from chex_jobs.cli.status_changes import changes
from chex_jobs.cli.status_page import page
from chex_jobs.cli.terminal import size_of

FAILED = 1
PAUSE_SECONDS = 3.0
MOST_FAILURES = 20
"""A minute without an answer: a laptop that changes its network is forgiven, a cluster that is gone is told."""


class Deleted(Exception):
    """The job that is followed is there no more."""


def follow(kubectl: Kubectl, name: str, output: TextIO) -> int:
    """Show a job until it is Complete (0), Failed (1) or refused by the operator (1), or deleted (1)."""
    ended, refused = "", False
    with ExitStack() as stack:
        show = _on_terminal(output, stack) if output.isatty() else _line_by_line(output)
        try:
            for plain in _states(kubectl, name):
                job = ClusterJob.of(plain)
                show(job)
                ended, refused = job.ended, job.refused
                if ended or refused:
                    break
        except Deleted:
            output.write(f"{name} was deleted\n")
            return FAILED
    if refused and not ended:
        again = kubectl.hint("status", name, "--watch")
        output.write(f"nothing begins before that is mended; then:  {again}\n")
        return FAILED
    if ended == "Failed":
        output.write(f"why:  {kubectl.hint('logs', name)}\n")
        return FAILED
    output.write(f"its report:  {kubectl.hint('report', name, '--open')}\n")
    return 0


def _states(kubectl: Kubectl, name: str) -> Iterator[dict[str, Any]]:
    """The job as it is and becomes, unread. Watches end now and then, and connections break: both begin anew."""
    failures, seen = 0, False
    while True:
        try:
            for word, plain in kubectl.watch(name):
                if word == "DELETED":
                    raise Deleted
                failures, seen = 0, True
                yield plain
        except KubectlFailed as error:
            failures += 1
            if seen and error.not_found:
                raise Deleted from error
            if not seen or failures >= MOST_FAILURES:
                raise
            time.sleep(PAUSE_SECONDS)


def _on_terminal(output: TextIO, stack: ExitStack) -> Callable[[ClusterJob], None]:
    screen = stack.enter_context(LiveScreen(output))

    def show(job: ClusterJob) -> None:
        now = datetime.now(UTC)
        as_of = f"as of {now.astimezone():%H:%M:%S}; Ctrl-C leaves, the job goes on"
        screen.show([*page(job, now, size_of(output).columns), "", as_of])

    return show


def _line_by_line(output: TextIO) -> Callable[[ClusterJob], None]:
    shown: ClusterJob | None = None

    def show(job: ClusterJob) -> None:
        nonlocal shown
        for line in changes(shown, job):
            output.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
        output.flush()
        shown = job

    return show
