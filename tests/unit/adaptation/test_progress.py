"""What the terminal says of a sweep: arms, not arms times folds."""

from dataclasses import replace
from typing import Any

from chex_jobs.adaptation.stage import Key, SweepReporter
from chex_jobs.sweep.arms import Arm, program
from chex_jobs.sweep.coordinator import Coordinator
from tests.unit.sweep.hospital_fixture import SITE, STARTS, STRATEGIES, SWEEP, answer

ARMS: dict[Key, Arm] = {
    ("ssl", strategy.name, 1.0, fold): Arm("ssl", STARTS["ssl"], None, strategy, 1.0, fold)
    for fold in range(4)
    for strategy in STRATEGIES[:2]
}


def messages() -> list[str]:
    """What is told after each unit, with four folds and two arms."""
    said: list[Any] = []
    programs = {key: program(arm, replace(SITE), SWEEP) for key, arm in ARMS.items()}
    coordinator: Coordinator[Key] = Coordinator(programs, lambda _: None)
    reporter = SweepReporter(coordinator, ARMS, SWEEP, said.append)
    while not coordinator.done:
        unit = coordinator.next()
        assert unit is not None
        coordinator.finish(unit.identity, answer(unit))
        reporter.tell(unit)
    return [progress.message for progress in said]


def test_an_arm_of_four_folds_is_one_arm_and_is_finished_with_its_last_fold() -> None:
    said = messages()
    assert said[0].startswith("0 of 2 arms finished")
    assert said[-1].startswith("2 of 2 arms finished")
    assert {message.split(" arms")[0] for message in said} == {"0 of 2", "1 of 2", "2 of 2"}
