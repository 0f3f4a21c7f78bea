"""What an arm costs: what it takes to get it once, however often its labels were drawn to measure its spread."""

from typing import Any

import pytest

from chex_api.sweep import Sweep
from chex_jobs.adaptation.results import arm_document
from chex_jobs.sweep.arms import Arm
from chex_jobs.sweep.coordinator import Coordinator
from chex_jobs.sweep.units import Unit
from tests.unit.sweep.hospital_fixture import STARTS, STRATEGIES, SWEEP, answer, programs

BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}


def answered(unit: Unit) -> dict[str, Any]:
    counts = {"train": 10, "validate": 5}
    return {"score": {"value": 0.5, "loss": 0.6}, **answer(unit), "deviceSeconds": 2.0, "labels": counts}


def documents(sweep: Sweep) -> dict[str, dict[str, Any]]:
    """The arms with a tenth of the labels, by strategy."""
    coordinator = Coordinator(programs(sweep), answered)
    found = {}
    for start, strategy, fraction in coordinator.choices:
        if start != "ssl" or fraction == 1.0:
            continue
        key = (start, strategy, fraction)
        used = coordinator.used_by(key)
        arm = Arm(start, STARTS[start], None, BY_NAME[strategy], fraction, None)
        finals = {unit.identity: summary for unit, summary in used}
        found[strategy] = arm_document(arm, coordinator.choices[key], used, finals, 17)
    return found


@pytest.mark.parametrize("strategy", BY_NAME)
def test_draws_that_measure_the_spread_cost_nothing(strategy: str) -> None:
    one, three = (documents(SWEEP.model_copy(update={"draws": draws}))[strategy] for draws in (1, 3))
    assert len(three["finals"]) == 3 * len(one["finals"])
    assert three["filmPasses"] == one["filmPasses"] > 0
    assert three["deviceSeconds"] == one["deviceSeconds"] > 0
    assert three["labelledPatients"] == 17


def test_the_final_seeds_of_one_draw_are_all_counted_as_all_of_them_are_deployed() -> None:
    two, four = (documents(SWEEP.model_copy(update={"final_seeds": seeds}))["fine-tune"] for seeds in (2, 4))
    assert four["filmPasses"] - two["filmPasses"] == 2 * 10
