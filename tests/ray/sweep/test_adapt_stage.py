"""The whole adapt stage of a small hospital, with real training, and what must not change its numbers (E0)."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from chex_jobs.adaptation.stage import adapt
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.handover.context import Machine, StageContext
from tests.patience import PATIENCE_SECONDS
from tests.unit.adaptation.small_hospital import STRATEGIES, ingested_stage

MEASURED = "deviceSeconds"


class _StopWhen(threading.Event):
    """A stop that is asked for as soon as something is so."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        super().__init__()
        self._condition = condition

    def is_set(self) -> bool:
        return self._condition()


def adapted(
    folder: Path, attempt: str = "first", *, should_stop: Callable[[], bool] = lambda: False, **changes: Any
) -> FinishedArtifact | None:
    stage, store = ingested_stage(folder, **changes)
    context = StageContext(
        store, attempt, Machine(2), on_progress=lambda _: None, stop=_StopWhen(should_stop)
    )
    return adapt(stage, context)


def results(done: FinishedArtifact | None) -> list[dict[str, Any]]:
    """The arms without what was measured with a clock."""
    assert done is not None
    arms = done.read_json("arms.json")["arms"]
    return [{name: value for name, value in arm.items() if name != MEASURED} for arm in arms]


def model_checksums(folder: Path, done: FinishedArtifact | None) -> dict[str, str]:
    store = ArtifactStore.open(folder.resolve().as_uri())
    checksums = {}
    for arm in results(done):
        for final in arm["finals"]:
            finished = store.object("final", final["identity"]).finished()
            assert finished is not None
            checksums[final["identity"]] = finished.files["model.safetensors"].sha256
    return checksums


@pytest.fixture(scope="module")
def undisturbed(
    two_core_ray: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, FinishedArtifact]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = adapted(folder, sweep={"concurrency": 1})
    assert done is not None
    return folder, done


def test_every_arm_has_its_models_and_its_cost(undisturbed: tuple[Path, FinishedArtifact]) -> None:
    _, done = undisturbed
    arms = results(done)
    assert {(arm["strategy"], arm["labelFraction"]) for arm in arms} == {
        (strategy["name"], fraction) for strategy in STRATEGIES for fraction in (0.5, 1.0)
    }
    for arm in arms:
        assert len(arm["trials"]) == 3
        assert len(arm["finals"]) == (2 if arm["labelFraction"] == 1.0 else 4)
        assert arm["filmPasses"] > 0
    by_strategy = {arm["strategy"]: arm for arm in arms if arm["labelFraction"] == 1.0}
    assert by_strategy["probe"]["filmPasses"] < by_strategy["lp-ft"]["filmPasses"]
    assert by_strategy["dapt-fine-tune"]["daptObjective"] == "moCo"


def test_concurrency_and_a_killed_actor_change_no_bit(
    undisturbed: tuple[Path, FinishedArtifact], tmp_path: Path
) -> None:
    folder, done = undisturbed
    killed: list[int] = []
    killer = threading.Thread(target=_kill_a_worker_once, args=(tmp_path / "objects", killed), daemon=True)
    killer.start()
    again = adapted(tmp_path)
    assert killed
    killer.join()
    assert results(again) == results(done)
    assert model_checksums(tmp_path, again) == model_checksums(folder, done)


def test_stopped_adaptation_goes_on_where_it_was(
    undisturbed: tuple[Path, FinishedArtifact], tmp_path: Path
) -> None:
    folder, done = undisturbed
    objects = tmp_path / "objects"

    def ten_are_finished() -> bool:
        return len(list(objects.glob("*/manifest.json"))) >= 10

    assert adapted(tmp_path, "stopped", should_stop=ten_are_finished) is None
    before = {path: path.stat().st_mtime_ns for path in objects.glob("*/manifest.json")}
    again = adapted(tmp_path, "second")
    assert results(again) == results(done)
    assert model_checksums(tmp_path, again) == model_checksums(folder, done)
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())


def test_added_strategy_runs_its_own_units_only(undisturbed: tuple[Path, FinishedArtifact]) -> None:
    folder, done = undisturbed
    before = set((folder / "objects").glob("*/manifest.json"))
    added = {"name": "fine-tune", "transfer": "FineTune", "fineTuning": {"epochs": 1, "batchSize": 8}}
    more = adapted(folder, "more", strategies=[*STRATEGIES, added])
    assert [arm for arm in results(more) if arm["strategy"] != "fine-tune"] == results(done)
    new = {
        path.parent.name.partition("-")[0]
        for path in (folder / "objects").glob("*/manifest.json")
        if path not in before
    }
    assert new == {"trial", "final"}


def test_grouped_folds_repeat_every_arm_in_every_fold(two_core_ray: None, tmp_path: Path) -> None:
    done = adapted(
        tmp_path,
        split={"groupedFolds": 3},
        strategies=[STRATEGIES[0]],
        labelFractions=[1.0],
    )
    assert [arm["fold"] for arm in results(done)] == [0, 1, 2]


def _kill_a_worker_once(objects: Path, killed: list[int]) -> None:
    """Kill -9 one actor of the sweep when four units are finished and others are under way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not killed and time.monotonic() < deadline:
        if len(list(objects.glob("*/manifest.json"))) >= 4:
            for pid in _actor_pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed.append(pid)
                break
        time.sleep(0.05)


def _actor_pids() -> list[int]:
    """Workers of this test's Ray that hold an actor of the sweep: Ray writes its name into the command line."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "_UnitActor" in " ".join(process.cmdline()):
                found.append(process.pid)
    return found
