"""Which units of work are ready, over all arms of a hospital; pure but for the look-up of what is finished.

Units of earlier arms go first, so that arms end one after the other and what they keep on the way can be let go.
A unit that several arms need runs once. A unit that is already in the artifact store does not run. A unit that failed
is tried once more; when it fails again the sweep ends with that unit's own error. That is for what a machine does to a
unit. A unit that can give no result at all (`arms.FAILED`) ends well, with the reason, and its arms fail without the others.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from chex_jobs.handover.failures import Cause, ProcessFailed
from chex_jobs.sweep.arms import ArmChoice, ArmFailed, Program, Summary
from chex_jobs.sweep.units import WorkUnit

ATTEMPTS = 2
DIED = "the process that ran it died; out of memory is the usual cause"
Key = TypeVar("Key")


class UnitFailed(ProcessFailed):
    """A unit of work failed on every attempt. The message names the unit and holds the last cause."""


@dataclass
class _Running(Generic[Key]):
    """An arm that waits for the results of `wanted`."""

    position: int
    key: Key
    program: Program
    wanted: Sequence[WorkUnit] = ()
    used: dict[str, WorkUnit] = field(default_factory=dict)
    """Every unit the arm has named so far, by identity."""

    def advance(self, results: Sequence[Summary] | None) -> ArmChoice | ArmFailed | None:
        """Resume the program. Returns its choice, or why there is none, when it has ended."""
        try:
            self.wanted = next(self.program) if results is None else self.program.send(results)
        except StopIteration as end:
            return end.value
        self.used.update((unit.identity, unit) for unit in self.wanted)
        return None


class Coordinator(Generic[Key]):
    """Drives the programs of all arms. Not thread-safe: Ray Tune calls it from one thread."""

    def __init__(
        self, programs: Mapping[Key, Program], finished: Callable[[WorkUnit], Summary | None]
    ) -> None:
        """`finished` looks a unit up in the artifact store; it is asked once for each unit."""
        self._finished = finished
        self._arms = [_Running(i, key, program) for i, (key, program) in enumerate(programs.items())]
        self._results: dict[str, Summary] = {}
        self._ready: list[tuple[int, int, WorkUnit]] = []
        self._known: set[str] = set()
        self._running: dict[str, WorkUnit] = {}
        self._failures: dict[str, int] = {}
        self.choices: dict[Key, ArmChoice] = {}
        self.failures: dict[Key, ArmFailed] = {}
        for arm in self._arms:
            self._go_on(arm, first=True)

    @property
    def done(self) -> bool:
        """Whether every arm has made its choice, or failed."""
        return len(self.choices) + len(self.failures) == len(self._arms)

    @property
    def num_finished(self) -> int:
        """Finished units, found ones included; one that several arms share counts for each."""
        return sum(identity in self._results for arm in self._arms for identity in arm.used)

    def next(self) -> WorkUnit | None:
        """A unit to run now; None while all that is left waits for running units, or when done."""
        if not self._ready:
            assert self.done or self._running, "an arm waits for nothing"
            return None
        _, _, unit = heapq.heappop(self._ready)
        self._running[unit.identity] = unit
        return unit

    def finish(self, identity: str, summary: Summary) -> None:
        """A unit that `next` gave has ended well."""
        del self._running[identity]
        self._results[identity] = summary
        for arm in self._arms:
            if any(unit.identity == identity for unit in arm.wanted):
                self._go_on(arm)

    def fail(self, identity: str, cause: Cause | None) -> None:
        """A unit that `next` gave has ended badly, or its process died (no cause). Raises `UnitFailed` on its last attempt."""
        unit = self._running.pop(identity)
        self._failures[identity] = self._failures.get(identity, 0) + 1
        if self._failures[identity] >= ATTEMPTS:
            died = "" if cause is not None else f": {DIED}"
            raise UnitFailed(f"{unit.kind} {identity[:12]} failed {ATTEMPTS} times{died}", cause)
        heapq.heappush(self._ready, (0, -1, unit))

    def used_by(self, key: Key) -> list[tuple[WorkUnit, Summary]]:
        """The distinct units of an arm with their results: what the arm cost."""
        (arm,) = [arm for arm in self._arms if arm.key == key]
        return [
            (unit, self._results[identity])
            for identity, unit in arm.used.items()
            if identity in self._results
        ]

    def _go_on(self, arm: _Running[Key], *, first: bool = False) -> None:
        """Resume an arm as long as everything it wants is there."""
        results: list[Summary] | None = None if first else self._collected(arm)
        while first or results is not None:
            choice = arm.advance(results)
            first = False
            if choice is not None:
                if isinstance(choice, ArmFailed):
                    self.failures[arm.key] = choice
                else:
                    self.choices[arm.key] = choice
                arm.wanted = ()
                return
            for unit in arm.wanted:
                self._want(unit, arm.position)
            results = self._collected(arm)

    def _collected(self, arm: _Running[Key]) -> list[Summary] | None:
        """The results that the arm wants, in its order; None while one is missing."""
        found = [self._results.get(unit.identity) for unit in arm.wanted]
        return None if any(one is None for one in found) else [one for one in found if one is not None]

    def _want(self, unit: WorkUnit, position: int) -> None:
        """Take a unit in, once: as finished when the store has it, else as ready."""
        if unit.identity in self._known:
            return
        self._known.add(unit.identity)
        summary = self._finished(unit)
        if summary is None:
            heapq.heappush(self._ready, (position, len(self._known), unit))
        else:
            self._results[unit.identity] = summary
