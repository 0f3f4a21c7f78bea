"""What happens to operators: each plans it at the proxy before the operator begins. Seeds make it happen again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.apiserver.controller.job_scenario import JobScenario
from tests.apiserver.fault_proxy import (
    CUT_AFTER,
    CUT_BEFORE,
    Call,
    Fault,
    delay,
    fail_after,
    kill_after,
    kill_before,
    no_lease,
    refuse,
)


@dataclass(frozen=True)
class FaultScenario:
    """What happens.

    Attributes:
        name: What it is called.
        begin: Plans it.
        leaves: What the scenario's log says when it has had its effect.
    """

    name: str
    begin: Callable[[JobScenario], None]
    leaves: str = ""

    def __str__(self) -> str:
        return self.name


def write(call: Call) -> bool:
    """A call that changes something of jobs."""
    return call.is_write and no_lease(call)


def nothing() -> FaultScenario:
    return FaultScenario("nothing", lambda scenario: None)


def killed_before(n: int) -> FaultScenario:
    """The n-th call never reaches the API server."""

    def begin(scenario: JobScenario) -> None:
        scenario.proxy.plan(kill_before(lambda: scenario.crash(f"before call {n}")), when=no_lease, nth=n)

    return FaultScenario(f"killed before call {n}", begin)


def killed_after(n: int) -> FaultScenario:
    """The n-th write is carried out, and its answer is never heard."""

    def begin(scenario: JobScenario) -> None:
        scenario.proxy.plan(kill_after(lambda: scenario.crash(f"after write {n}")), when=write, nth=n)

    return FaultScenario(f"killed after write {n}", begin)


def killed_again_and_again(seed: int, *, writes: tuple[int, int] = (12, 40)) -> FaultScenario:
    """Killed after so many writes, and so do its successors; what is done between two kills lets a job get further."""

    def begin(scenario: JobScenario) -> None:
        rng = random.Random(seed)

        def plan_the_next() -> None:
            n = rng.randint(*writes)
            kill = rng.choice((kill_before, kill_after))

            def strike() -> None:
                scenario.crash(f"at its write {n}")
                plan_the_next()

            scenario.proxy.plan(kill(strike), when=write, nth=n)

        plan_the_next()

    return FaultScenario(f"killed again and again, seed {seed}", begin)


def met(fault: Fault, what: str, n: int) -> FaultScenario:
    """One write meets a fault."""
    return FaultScenario(
        f"{what} at write {n}", lambda scenario: scenario.proxy.plan(fault, when=write, nth=n)
    )


FAULTS: dict[str, Fault] = {
    "cut before": CUT_BEFORE,
    "cut after": CUT_AFTER,
    "409": refuse(409),
    "429": refuse(429, retry_after=1),
    "500": refuse(500),
    "503": refuse(503),
    "500 after": fail_after(500),
    "a second late": delay(1.0),
}


def met_often(seed: int, *, calls: int = 400, share: float = 0.12) -> FaultScenario:
    """Some of all calls, reads among them, meet a fault of any kind."""

    def begin(scenario: JobScenario) -> None:
        rng = random.Random(seed)
        for n in range(1, calls):
            if rng.random() < share:
                scenario.proxy.plan(rng.choice(list(FAULTS.values())), when=no_lease, nth=n)

    return FaultScenario(f"faults of any kind, seed {seed}", begin)


def statuses_late(*, times: int = 20, seconds: float = 0.5) -> FaultScenario:
    """Each status takes a while to write: what happens meanwhile, and is over again, no pass sees."""

    def begin(scenario: JobScenario) -> None:
        scenario.proxy.plan(delay(seconds), when=lambda call: call.subresource == "status", times=times)

    return FaultScenario("statuses are written late", begin)


def watches_held(seed: int, *, times: int = 8, seconds: float = 1.5) -> FaultScenario:
    """Again and again, at a write, one kind's watch reports nothing for a while: caches are old, and not all of the same age."""
    return _watches("held", seed, times, lambda scenario, kind: _hold(scenario, kind, seconds))


def watches_dropped(seed: int, *, times: int = 12) -> FaultScenario:
    """Again and again, at a write, one kind's watch is cut."""
    return _watches("dropped", seed, times, lambda scenario, kind: scenario.proxy.watches.drop(kind))


def watches_slow(seconds: float = 0.4) -> FaultScenario:
    """Whatever a watch reports comes late."""
    return FaultScenario("watches are slow", lambda scenario: scenario.proxy.watches.slow(seconds))


def lease_taken(n: int) -> FaultScenario:
    """At the n-th write the Lease is somebody else's, who does nothing with it until it expires."""

    def begin(scenario: JobScenario) -> None:
        scenario.proxy.plan(_meanwhile(scenario.give_lease_away), when=write, nth=n)

    return FaultScenario(f"the Lease is taken at write {n}", begin, leaves="ended with 1")


def frozen(n: int, *, until: int, frees_lease: bool) -> FaultScenario:
    """At the n-th write the leader stands still; when a second replica has made some writes, the first goes on where it stood.

    With a Lease that has expired, it can know that it leads no more. With one that was taken from it, both lead for a while.
    """

    def begin(scenario: JobScenario) -> None:
        def strike() -> None:
            scenario.freeze()
            scenario.scale_up()
            if frees_lease:
                scenario.free_lease()
            scenario.proxy.plan(_meanwhile(scenario.thaw), when=write, nth=until)

        scenario.proxy.plan(_meanwhile(strike), when=write, nth=n)

    how = "its Lease taken" if frees_lease else "its Lease expired"
    return FaultScenario(f"frozen at write {n}, {how}", begin, leaves="ended with 1")


def leader_killed(n: int, *, frees_lease: bool) -> FaultScenario:
    """Two replicas; the one that leads is killed after its n-th write."""

    def begin(scenario: JobScenario) -> None:
        scenario.scale_up()
        strike = kill_after(lambda: scenario.crash(f"after write {n}", frees_lease=frees_lease))
        scenario.proxy.plan(strike, when=write, nth=n)

    return FaultScenario(
        f"one of two killed after write {n}" + (", at once replaced" if frees_lease else ""), begin
    )


VARIED = ("chextrainingjobs", "rayjobs", "configmaps", "pods", "jobs")


def _watches(what: str, seed: int, times: int, disturb: Callable[[JobScenario, str], None]) -> FaultScenario:
    def begin(scenario: JobScenario) -> None:
        rng = random.Random(seed)
        for n in sorted(rng.sample(range(1, 120), times)):
            kind = rng.choice(VARIED)
            scenario.proxy.plan(_meanwhile(lambda kind=kind: disturb(scenario, kind)), when=write, nth=n)

    return FaultScenario(f"watches are {what}, seed {seed}", begin)


def _hold(scenario: JobScenario, kind: str, seconds: float) -> None:
    scenario.proxy.watches.hold(kind)
    scenario.later(seconds, scenario.proxy.watches.release)


def _meanwhile(do: Callable[[], None]) -> Fault:
    """The call itself goes well."""
    return Fault(reaches=True, passes=True, meanwhile=do)
