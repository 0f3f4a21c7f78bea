"""What the terminal says of a sweep: arms, not arms times folds."""

from dataclasses import replace

from chex_api.stage import StageProgress
from chex_jobs.adaptation.stage import Key, SweepReporter
from chex_jobs.sweep.arms import Arm, program
from chex_jobs.sweep.coordinator import Coordinator
from chex_jobs.sweep.work_estimate import estimate_work
from tests.unit.sweep.hospital_fixture import SITE, STARTS, STRATEGIES, SWEEP, answer

ARMS: dict[Key, Arm] = {
    ("ssl", strategy.name, 1.0, fold): Arm("ssl", STARTS["ssl"], None, strategy, 1.0, fold)
    for fold in range(4)
    for strategy in STRATEGIES[:2]
}


def reported() -> list[StageProgress]:
    """What is reported after each unit, with four folds and two arms."""
    said: list[StageProgress] = []
    programs = {key: program(arm, replace(SITE), SWEEP) for key, arm in ARMS.items()}
    num_units = sum(estimate_work(arm, SITE, SWEEP).units for arm in ARMS.values())
    coordinator: Coordinator[Key] = Coordinator(programs, lambda _: None)
    reporter = SweepReporter(coordinator, ARMS, num_units, said.append)
    while not coordinator.done:
        unit = coordinator.next()
        assert unit is not None
        coordinator.finish(unit.identity, answer(unit))
        reporter.report(unit)
    return said


def test_an_arm_of_four_folds_is_one_arm_and_is_finished_with_its_last_fold() -> None:
    said = [progress.message for progress in reported()]
    assert said[0].startswith("0 of 2 arms finished")
    assert said[-1].startswith("2 of 2 arms finished")
    assert {message.split(" arms")[0] for message in said} == {"0 of 2", "1 of 2", "2 of 2"}


def test_the_units_that_were_foreseen_are_those_that_run() -> None:
    told = [(progress.done, progress.total) for progress in reported()]
    done, total = told[-1]
    assert done == total
    assert {total for _, total in told} == {total}
