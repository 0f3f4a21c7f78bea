"""Many lives at a time, each with its ordeal, and what each has shown.

Lives wait a lot: for Leases, backoffs, watches that were cut. So many of them share one control plane, one engine and two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.chronicle import Chronicle, chronicle
from tests.apiserver.controller.lives import Life, Record, faults_of, life, record_of
from tests.apiserver.controller.ordeals import Ordeal, nothing, write
from tests.apiserver.controller.stories import Story
from tests.apiserver.fault_proxy import no_lease
from tests.apiserver.ray_engine.engine import Engine

AT_A_TIME = 6


@dataclass(frozen=True)
class Trial:
    """A life to lead."""

    story: Story
    ordeal: Ordeal

    def __str__(self) -> str:
        return f"{self.story.__name__}, {self.ordeal}"


@dataclass(frozen=True)
class Outcome:
    """What a life has shown.

    Attributes:
        faults: What must not be; empty where all is well.
        record: Of the life.
        calls: How many its operators made, those about leases and watches left out.
        writes: How many of them changed something.
        met: Whether all that was planned has happened.
        told: For whoever looks for the reason.
    """

    faults: list[str]
    record: Record
    calls: int
    writes: int
    met: bool
    told: str

    def compared_with(self, undisturbed: Record) -> list[str]:
        """The faults, and in what the record differs from the one it must equal."""
        found = list(self.faults)
        for what in ("standings", "attempts", "starts"):
            found += _differences(getattr(self.record, what), getattr(undisturbed, what), what)
        return found


class Trials:
    """Lives that are led as threads are free; before the first of each story, one in which nothing happens."""

    def __init__(
        self,
        server: ApiClient,
        engine: Engine,
        kept: Chronicle,
        folder: Path,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._server, self._engine, self._kept, self._folder = server, engine, kept, folder
        self._threads = threads
        self._undisturbed: dict[Story, Future[Outcome]] = {}

    def begin(self, trial: Trial) -> Future[Outcome]:
        """Have a life led."""
        self._begin_undisturbed(trial.story)
        return self._threads.submit(self._lead, trial)

    def undisturbed(self, story: Story) -> Outcome:
        """A life in which nothing happens to operators: what others are compared with."""
        return self._begin_undisturbed(story).result()

    def _begin_undisturbed(self, story: Story) -> Future[Outcome]:
        if story not in self._undisturbed:
            self._undisturbed[story] = self._threads.submit(self._lead, Trial(story, nothing()))
        return self._undisturbed[story]

    def _lead(self, trial: Trial) -> Outcome:
        with life(self._server, self._engine, self._kept, self._folder) as lived:
            trial.ordeal.begin(lived)
            lived.begin()
            faults = self._tell(trial.story, lived)
            return Outcome(
                faults=faults + faults_of(lived),
                record=record_of(lived),
                calls=lived.proxy.count(no_lease),
                writes=lived.proxy.count(write),
                met=lived.proxy.all_met and trial.ordeal.leaves in "\n".join(lived.log),
                told=lived.told(),
            )

    def _tell(self, story: Story, lived: Life) -> list[str]:
        try:
            story(lived)
        except AssertionError as late:
            return [str(late)]
        return []


def _differences(mine: Any, wanted: Any, where: str) -> Iterator[str]:
    if isinstance(mine, dict) and isinstance(wanted, dict):
        for key in sorted({*mine, *wanted}):
            yield from _differences(mine.get(key), wanted.get(key), f"{where}.{key}")
    elif isinstance(mine, list) and isinstance(wanted, list) and len(mine) == len(wanted):
        for number, (one, other) in enumerate(zip(mine, wanted, strict=True)):
            yield from _differences(one, other, f"{where}[{number}]")
    elif mine != wanted:
        yield f"{where} is {mine}, not {wanted}"


@contextmanager
def trials(server: ApiClient, engine: Engine, folder: Path) -> Iterator[Trials]:
    """A place for trials; those that have not begun by the end of the block never do."""
    with chronicle(server) as kept:
        threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="life")
        try:
            yield Trials(server, engine, kept, folder, threads)
        finally:
            threads.shutdown(cancel_futures=True)
