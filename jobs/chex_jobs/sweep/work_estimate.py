"""How much work an arm is, before it runs: its program is played through with results that are made up.

What runs depends on scores only through which trials go on, not how many, so the counts are exact; epochs of the final
fits are an upper bound, since a fit ends at the epoch that won. Units that are finished answer for themselves and are no work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chex_api.sweep import Sweep
from chex_jobs.sweep.arms import Arm, Summary, program
from chex_jobs.sweep.units import DaptUnit, FinalFitUnit, FinalProbeUnit, ProbeUnit, Site, TrialUnit, WorkUnit


@dataclass(frozen=True)
class WorkEstimate:
    """What one arm has left to run, units that other arms share counted in each of them."""

    units: int
    """Units of any kind."""
    dapt_epochs: int
    """Passes over all training films without labels."""
    probes: int
    trial_epochs: int
    """Passes over the arm's labelled training films in its search."""
    final_fits: int
    final_epochs: int
    """At most so many passes over the arm's labelled training films in its final fits."""


def estimate_work(
    arm: Arm, site: Site, sweep: Sweep, finished: Callable[[WorkUnit], Summary | None] = lambda _: None
) -> WorkEstimate:
    """Play an arm's program through and count what it asks for and is not finished.

    Args:
        arm: one combination, in one fold.
        site: what the units of the hospital have in common.
        sweep: the search.
        finished: the summary of a unit that is finished; None of any other.
    """
    left: dict[str, WorkUnit] = {}
    course = program(arm, site, sweep)
    units: Sequence[WorkUnit] = next(course)
    while True:
        known = [finished(unit) for unit in units]
        left.update(
            (unit.identity, unit) for unit, summary in zip(units, known, strict=True) if summary is None
        )
        try:
            units = course.send(
                [
                    _made_up(unit) if summary is None else summary
                    for unit, summary in zip(units, known, strict=True)
                ]
            )
        except StopIteration:
            return _count(list(left.values()))


def _made_up(unit: WorkUnit) -> Summary:
    score = {"value": 0.5, "loss": 0.7}
    if isinstance(unit, ProbeUnit):
        return {"scores": [score] * len(unit.c_values)}
    if isinstance(unit, TrialUnit):
        return {"score": score, "bestEpoch": unit.until_epoch}
    return {}


def _count(units: list[WorkUnit]) -> WorkEstimate:
    trials = [unit for unit in units if isinstance(unit, TrialUnit)]
    finals = [unit for unit in units if isinstance(unit, FinalFitUnit)]
    return WorkEstimate(
        units=len(units),
        dapt_epochs=sum(unit.spec.epochs for unit in units if isinstance(unit, DaptUnit)),
        probes=sum(isinstance(unit, ProbeUnit) for unit in units),
        trial_epochs=sum(
            unit.until_epoch - (unit.previous.until_epoch if unit.previous else 0) for unit in trials
        ),
        final_fits=len(finals) + sum(isinstance(unit, FinalProbeUnit) for unit in units),
        final_epochs=sum(unit.until_epoch for unit in finals),
    )
