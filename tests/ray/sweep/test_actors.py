"""Units in real, reused Tune actors: how they fail, die and are stopped."""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chex_jobs.sweep.actors import Actors, run_units
from chex_jobs.sweep.coordinator import Coordinator, UnitFailed
from chex_jobs.sweep.units import TrialUnit, WorkUnit
from tests.unit.sweep.hospital_fixture import SWEEP, answer, programs, run

TWO = Actors(concurrency=2, cpus_each=1, gpus_each=0)


@dataclass
class Executor:
    """Answers units as the fixture does; the files in `folder` say what goes wrong and tell what happened."""

    folder: Path
    pids: set[int] = field(default_factory=set)

    def __call__(self) -> "Executor":
        return self

    def execute(self, unit: WorkUnit) -> dict:
        """Note who ran what; then fail, die or wait where a file asks for it."""
        (self.folder / f"pid-{os.getpid()}").touch()
        if self._take("raise"):
            raise ValueError("no space left on device")
        if self._take("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.folder / "wait").exists():
            (self.folder / "waiting").touch()
            time.sleep(30)
            (self.folder / "waited").touch()
        return answer(unit)

    def _take(self, name: str) -> bool:
        """Whether a file asks for it; each file asks once."""
        try:
            (self.folder / name).unlink()
        except FileNotFoundError:
            return False
        return True


class Opener:
    """Opens the executor in an actor."""

    def __init__(self, folder: Path) -> None:
        self._executor = Executor(folder)

    def __call__(self):
        return self._executor.execute


def small() -> Coordinator:
    few = {key: program for key, program in programs().items() if key[0] == "ssl"}
    return Coordinator(few, lambda unit: None)


EXPECTED = {key: choice for key, choice in run()[0].items() if key[0] == "ssl"}


def test_sweep_in_actors_chooses_what_a_sweep_in_one_process_does(two_core_ray: None, tmp_path: Path) -> None:
    coordinator = small()
    finished: list[WorkUnit] = []
    assert run_units(coordinator, Opener(tmp_path), TWO, finished.append)
    assert coordinator.choices == EXPECTED
    assert len(finished) == len({unit.identity for unit in finished}) > 40
    assert len(list(tmp_path.glob("pid-*"))) <= 2, "actors are not reused"


def test_unit_that_raises_once_is_run_again(two_core_ray: None, tmp_path: Path) -> None:
    (tmp_path / "raise").touch()
    coordinator = small()
    assert run_units(coordinator, Opener(tmp_path), TWO)
    assert coordinator.choices == EXPECTED


def test_actor_that_is_killed_is_replaced(two_core_ray: None, tmp_path: Path) -> None:
    (tmp_path / "die").touch()
    coordinator = small()
    assert run_units(coordinator, Opener(tmp_path), TWO)
    assert coordinator.choices == EXPECTED
    assert not (tmp_path / "die").exists()


class AlwaysFailing(Opener):
    """Fails on every trial."""

    def __call__(self):
        def execute(unit: WorkUnit) -> dict:
            if isinstance(unit, TrialUnit):
                raise ValueError("the loss is a duck")
            return answer(unit)

        return execute


def test_unit_that_fails_twice_ends_the_sweep_with_its_own_words(two_core_ray: None, tmp_path: Path) -> None:
    with pytest.raises(
        UnitFailed, match=r"trial [0-9a-f]{12} failed 2 times: ValueError: the loss is a duck"
    ):
        run_units(small(), AlwaysFailing(tmp_path), TWO)


class CannotBeOpened(Opener):
    """Fails before the first unit."""

    def __call__(self):
        raise KeyError("patient-4711")


def test_data_that_cannot_be_opened_end_the_sweep_with_their_own_words(
    two_core_ray: None, tmp_path: Path
) -> None:
    with pytest.raises(UnitFailed, match=r"failed 2 times: KeyError: 'patient-4711'"):
        run_units(small(), CannotBeOpened(tmp_path), TWO)


def test_stop_ends_the_sweep_without_waiting_for_running_units(two_core_ray: None, tmp_path: Path) -> None:
    (tmp_path / "wait").touch()
    assert not run_units(small(), Opener(tmp_path), TWO, should_stop=(tmp_path / "waiting").exists)
    assert not (tmp_path / "waited").exists()


def test_error_of_the_caller_ends_the_sweep_and_is_raised_again(two_core_ray: None, tmp_path: Path) -> None:
    def stop(unit: WorkUnit) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_units(small(), Opener(tmp_path), TWO, stop)


def test_finished_sweep_needs_no_ray(tmp_path: Path) -> None:
    coordinator = Coordinator(programs(SWEEP), answer)
    assert run_units(coordinator, Opener(tmp_path), TWO)
