"""Many cases at a time: what a user does with a job, what happens to its operators, and the outcome.

Cases wait a lot: for Leases, backoffs, watches that were cut. So many of them share one control plane, one engine and two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.fault_scenarios import FaultScenario, nothing, write
from tests.apiserver.controller.job_scenario import JobScenario, Record, faults_of, job_scenario, record_of
from tests.apiserver.controller.status_history import StatusHistory, status_history
from tests.apiserver.controller.user_scenarios import UserScenario
from tests.apiserver.fault_proxy import no_lease
from tests.apiserver.ray_engine.engine import Engine

AT_A_TIME = 6


@dataclass(frozen=True)
class Case:
    """What a user does with a job, and what happens to its operators meanwhile."""

    user_scenario: UserScenario
    fault_scenario: FaultScenario

    def __str__(self) -> str:
        return f"{self.user_scenario.__name__}, {self.fault_scenario}"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case.

    Attributes:
        faults: What must not be; empty where all is well.
        record: Of the job.
        calls: How many its operators made, those about leases and watches left out.
        writes: How many of them changed something.
        met: Whether all that was planned has happened.
        explanation: For whoever looks for the reason.
    """

    faults: list[str]
    record: Record
    calls: int
    writes: int
    met: bool
    explanation: str

    def compared_with(self, undisturbed: Record) -> list[str]:
        """The faults, and in what the record differs from the one it must equal."""
        found = list(self.faults)
        for what in ("resting_states", "attempts", "starts"):
            found += _differences(getattr(self.record, what), getattr(undisturbed, what), what)
        return found


class Cases:
    """Runs cases as threads are free; before the first of each user scenario, one in which nothing happens."""

    def __init__(
        self,
        server: ApiClient,
        engine: Engine,
        kept: StatusHistory,
        folder: Path,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._server, self._engine, self._kept, self._folder = server, engine, kept, folder
        self._threads = threads
        self._undisturbed: dict[UserScenario, Future[Outcome]] = {}

    def start(self, case: Case) -> Future[Outcome]:
        """Have a case run."""
        self._start_undisturbed(case.user_scenario)
        return self._threads.submit(self._run, case)

    def undisturbed(self, user_scenario: UserScenario) -> Outcome:
        """The case in which nothing happens to operators: what others are compared with."""
        return self._start_undisturbed(user_scenario).result()

    def _start_undisturbed(self, user_scenario: UserScenario) -> Future[Outcome]:
        if user_scenario not in self._undisturbed:
            self._undisturbed[user_scenario] = self._threads.submit(self._run, Case(user_scenario, nothing()))
        return self._undisturbed[user_scenario]

    def _run(self, case: Case) -> Outcome:
        with job_scenario(self._server, self._engine, self._kept, self._folder) as scenario:
            case.fault_scenario.begin(scenario)
            scenario.begin()
            faults = self._play(case.user_scenario, scenario)
            return Outcome(
                faults=faults + faults_of(scenario),
                record=record_of(scenario),
                calls=scenario.proxy.count(no_lease),
                writes=scenario.proxy.count(write),
                met=scenario.proxy.all_met and case.fault_scenario.leaves in "\n".join(scenario.log),
                explanation=scenario.explanation(),
            )

    def _play(self, user_scenario: UserScenario, scenario: JobScenario) -> list[str]:
        try:
            user_scenario(scenario)
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
def cases(server: ApiClient, engine: Engine, folder: Path) -> Iterator[Cases]:
    """A runner of cases; those that have not started by the end of the block never do."""
    with status_history(server) as kept:
        threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="case")
        try:
            yield Cases(server, engine, kept, folder, threads)
        finally:
            threads.shutdown(cancel_futures=True)
