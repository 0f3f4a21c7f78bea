"""A small hospital's sweep whose units are answered by arithmetic, not by training."""

import hashlib
import random
from collections.abc import Callable, Mapping
from typing import Any

from chex_api.base import Empty
from chex_api.encoder import ImageEncoder
from chex_api.hospital import Dapt, FineTuning, Strategy
from chex_api.objective import DaptObjective
from chex_api.pretraining import Augmentation, BatchNorm
from chex_api.sweep import LogUniform, Search, SpaceEntry, Sweep, Tpe
from chex_jobs.sweep.arms import Arm, ArmChoice, program
from chex_jobs.sweep.coordinator import Coordinator
from chex_jobs.sweep.units import ProbeUnit, Site, Start, TrialUnit, WorkUnit

Summary = dict[str, Any]
Key = tuple[str, str, float]

SITE = Site(
    dataset="d" * 64,
    tasks=("effusion",),
    labels=("e" * 64,),
    seed=3,
    unit="Image",
    encoder=ImageEncoder(architecture="chex-densenet-small", size=64),
    augmentation=Augmentation(),
    batch_norm=BatchNorm(),
    precision="Float32",
    metric="AUROC",
)
STARTS = {"ssl": Start("a" * 64), "random": Start("b" * 64)}
STRATEGIES = (
    Strategy(name="probe", transfer="LinearProbe"),
    Strategy(name="fine-tune", transfer="FineTune", fine_tuning=FineTuning(epochs=9)),
    Strategy(
        name="dapt-lp-ft",
        transfer="LPFT",
        dapt=Dapt(objective=DaptObjective.parse({"moCo": {}}), epochs=2, configurations=2),
        fine_tuning=FineTuning(epochs=3),
    ),
)
SWEEP = Sweep(
    trials_per_arm=6,
    draws=3,
    final_seeds=2,
    search=Search(tpe=Tpe(startup_trials=4)),
    space=(
        SpaceEntry(parameter="learningRate", log_uniform=LogUniform(min=1e-6, max=1e-3)),
        SpaceEntry(parameter="weightDecay", numbers=(0.0, 0.05)),
    ),
)
RANDOM_SEARCH = Search(random=Empty())


def chance(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int(hashlib.sha256(repr(key).encode()).hexdigest()[:8], 16) / 2**32


def answer(unit: WorkUnit) -> Summary:
    """What a unit would say of itself; a function of its identity."""
    draw = chance(unit.identity)
    if isinstance(unit, ProbeUnit):
        return {
            "scores": [{"value": chance(unit.identity, c), "loss": 0.5} for c in unit.c_values],
            "filmPasses": 0,
        }
    if isinstance(unit, TrialUnit):
        best = 1 + int(draw * unit.until_epoch)
        return {"score": {"value": draw, "loss": 0.4}, "bestEpoch": best, "filmPasses": 30}
    return {"filmPasses": 10}


def programs(sweep: Sweep = SWEEP, strategies: tuple[Strategy, ...] = STRATEGIES) -> Mapping[Key, Any]:
    """The programs of all arms, by (start, strategy, fraction)."""
    return {
        (start, strategy.name, fraction): program(
            Arm(start, STARTS[start], None, strategy, fraction, None), SITE, sweep
        )
        for start in STARTS
        for strategy in strategies
        for fraction in (0.1, 1.0)
    }


def run(
    *,
    concurrency: int = 1,
    order: int = 0,
    store: dict[str, Summary] | None = None,
    die_after: int | None = None,
    sweep: Sweep = SWEEP,
    strategies: tuple[Strategy, ...] = STRATEGIES,
    answering: Callable[[WorkUnit], Summary] = answer,
) -> tuple[dict[Key, ArmChoice], list[WorkUnit]]:
    """Run a sweep: `concurrency` units at once, which end in an order drawn from `order`.

    `store` is what survives; `die_after` stops the sweep after so many units, as a kill would.
    Returns the choices and the units that ran.
    """
    store = {} if store is None else store
    coordinator = Coordinator(programs(sweep, strategies), lambda unit: store.get(unit.identity))
    shuffle, running, ran = random.Random(order), [], []
    while not coordinator.done:
        while len(running) < concurrency and (unit := coordinator.next()) is not None:
            running.append(unit)
        unit = running.pop(shuffle.randrange(len(running)))
        if die_after is not None and len(ran) >= die_after:
            break
        store[unit.identity] = answering(unit)
        ran.append(unit)
        coordinator.finish(unit.identity, store[unit.identity])
    return coordinator.choices, ran
