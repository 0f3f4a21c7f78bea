"""What happens to operators: each plans it at the proxy before the operator begins. Seeds make it happen again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.apiserver.controller.lives import Life
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
class Ordeal:
    """What happens.

    Attributes:
        name: What it is called.
        begin: Plans it.
        leaves: What the life's log says when it has had its effect.
    """

    name: str
    begin: Callable[[Life], None]
    leaves: str = ""

    def __str__(self) -> str:
        return self.name


def write(call: Call) -> bool:
    """A call that changes something of jobs."""
    return call.is_write and no_lease(call)


def nothing() -> Ordeal:
    return Ordeal("nothing", lambda life: None)


def killed_before(n: int) -> Ordeal:
    """The n-th call never reaches the API server."""

    def begin(life: Life) -> None:
        life.proxy.plan(kill_before(lambda: life.crash(f"before call {n}")), when=no_lease, nth=n)

    return Ordeal(f"killed before call {n}", begin)


def killed_after(n: int) -> Ordeal:
    """The n-th write is carried out, and its answer is never heard."""

    def begin(life: Life) -> None:
        life.proxy.plan(kill_after(lambda: life.crash(f"after write {n}")), when=write, nth=n)

    return Ordeal(f"killed after write {n}", begin)


def killed_again_and_again(seed: int, *, writes: tuple[int, int] = (12, 40)) -> Ordeal:
    """Killed after so many writes, and so do its successors; what is done between two kills lets a job get further."""

    def begin(life: Life) -> None:
        rng = random.Random(seed)

        def plan_the_next() -> None:
            n = rng.randint(*writes)
            kill = rng.choice((kill_before, kill_after))

            def strike() -> None:
                life.crash(f"at its write {n}")
                plan_the_next()

            life.proxy.plan(kill(strike), when=write, nth=n)

        plan_the_next()

    return Ordeal(f"killed again and again, seed {seed}", begin)


def met(fault: Fault, what: str, n: int) -> Ordeal:
    """One write meets a fault."""
    return Ordeal(f"{what} at write {n}", lambda life: life.proxy.plan(fault, when=write, nth=n))


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


def met_often(seed: int, *, calls: int = 400, share: float = 0.12) -> Ordeal:
    """Some of all calls, reads among them, meet a fault of any kind."""

    def begin(life: Life) -> None:
        rng = random.Random(seed)
        for n in range(1, calls):
            if rng.random() < share:
                life.proxy.plan(rng.choice(list(FAULTS.values())), when=no_lease, nth=n)

    return Ordeal(f"faults of any kind, seed {seed}", begin)


def statuses_late(*, times: int = 20, seconds: float = 0.5) -> Ordeal:
    """Each status takes a while to write: what happens meanwhile, and is over again, no pass sees."""

    def begin(life: Life) -> None:
        life.proxy.plan(delay(seconds), when=lambda call: call.subresource == "status", times=times)

    return Ordeal("statuses are written late", begin)


def watches_held(seed: int, *, times: int = 8, seconds: float = 1.5) -> Ordeal:
    """Again and again, at a write, one kind's watch tells nothing for a while: caches are old, and not all of the same age."""
    return _watches("held", seed, times, lambda life, kind: _hold(life, kind, seconds))


def watches_dropped(seed: int, *, times: int = 12) -> Ordeal:
    """Again and again, at a write, one kind's watch is cut."""
    return _watches("dropped", seed, times, lambda life, kind: life.proxy.watches.drop(kind))


def watches_slow(seconds: float = 0.4) -> Ordeal:
    """Whatever a watch tells comes late."""
    return Ordeal("watches are slow", lambda life: life.proxy.watches.slow(seconds))


def lease_taken(n: int) -> Ordeal:
    """At the n-th write the Lease is somebody else's, who does nothing with it until it expires."""

    def begin(life: Life) -> None:
        life.proxy.plan(_meanwhile(life.give_lease_away), when=write, nth=n)

    return Ordeal(f"the Lease is taken at write {n}", begin, leaves="ended with 1")


def frozen(n: int, *, until: int, frees_lease: bool) -> Ordeal:
    """At the n-th write the leader stands still; when a second replica has made some writes, the first goes on where it stood.

    With a Lease that has expired, it can know that it leads no more. With one that was taken from it, both lead for a while.
    """

    def begin(life: Life) -> None:
        def strike() -> None:
            life.freeze()
            life.scale_up()
            if frees_lease:
                life.free_lease()
            life.proxy.plan(_meanwhile(life.thaw), when=write, nth=until)

        life.proxy.plan(_meanwhile(strike), when=write, nth=n)

    how = "its Lease taken" if frees_lease else "its Lease expired"
    return Ordeal(f"frozen at write {n}, {how}", begin, leaves="ended with 1")


def leader_killed(n: int, *, frees_lease: bool) -> Ordeal:
    """Two replicas; the one that leads is killed after its n-th write."""

    def begin(life: Life) -> None:
        life.scale_up()
        strike = kill_after(lambda: life.crash(f"after write {n}", frees_lease=frees_lease))
        life.proxy.plan(strike, when=write, nth=n)

    return Ordeal(f"one of two killed after write {n}" + (", at once replaced" if frees_lease else ""), begin)


VARIED = ("chextrainingjobs", "rayjobs", "configmaps", "pods", "jobs")


def _watches(what: str, seed: int, times: int, disturb: Callable[[Life, str], None]) -> Ordeal:
    def begin(life: Life) -> None:
        rng = random.Random(seed)
        for n in sorted(rng.sample(range(1, 120), times)):
            kind = rng.choice(VARIED)
            life.proxy.plan(_meanwhile(lambda kind=kind: disturb(life, kind)), when=write, nth=n)

    return Ordeal(f"watches are {what}, seed {seed}", begin)


def _hold(life: Life, kind: str, seconds: float) -> None:
    life.proxy.watches.hold(kind)
    life.later(seconds, life.proxy.watches.release)


def _meanwhile(do: Callable[[], None]) -> Fault:
    """The call itself goes well."""
    return Fault(reaches=True, passes=True, meanwhile=do)
