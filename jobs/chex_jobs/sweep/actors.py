"""Who runs the units: reused, warm actors of one Ray Tune run for each hospital.

Tune's part is to keep `concurrency` actors busy, to hand them units and to notice when one dies. What to run next is
decided by our `Coordinator`, through Tune's search interface: a "trial" of Tune is one unit of work, and a configuration
"suggested" to it is that unit. Halving needs no scheduler of Tune's, because a rung is a unit that another one needs.
The artifact store alone knows what is finished, so nothing is restored from Tune's own state.

Measured with Ray 2.60.0 on 2 cores: 0.035 s for a unit that does nothing, a few seconds for the first actors. Actors are
reused also after a unit of theirs failed in Python; one that died is replaced.
"""

import json
import logging
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyarrow.fs import LocalFileSystem
from ray import tune
from ray.air.constants import TRAINING_ITERATION
from ray.tune.result import DONE
from ray.tune.search import Searcher

from chex_jobs.artifacts.disk import temporary_folder
from chex_jobs.handover.failures import Cause
from chex_jobs.sweep.arms import Summary
from chex_jobs.sweep.coordinator import Coordinator
from chex_jobs.sweep.units import WorkUnit

log = logging.getLogger(__name__)

Execute = Callable[[WorkUnit], Summary]
UNIT, SUMMARY, ERROR, DETAIL = "unit", "summary", "error", "detail"


@dataclass(frozen=True)
class Actors:
    """How many actors there are and what each of them may use. No result depends on it."""

    concurrency: int
    cpus_each: float
    gpus_each: float


def run_units(
    coordinator: Coordinator[Any],
    open_executor: Callable[[], Execute],
    actors: Actors,
    on_finished: Callable[[WorkUnit], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Run all units that the coordinator gives, until its arms have made their choices.

    Args:
        coordinator: decides what is ready.
        open_executor: called once in each actor; what it returns does the units and keeps data warm. Pickled.
        actors: their number and size.
        on_finished: called in this process after each unit; what it raises ends the sweep and is raised again.
        should_stop: asked in this process all the time; True ends the sweep without waiting for running units.

    Returns:
        Whether the sweep came to its end; False when it was stopped.

    Raises:
        UnitFailed: a unit failed on its last attempt; the message holds its own error.
    """
    if coordinator.done:
        return True
    searcher = _Searcher(coordinator, on_finished)
    with temporary_folder("chex-tune-") as folder:
        _quiet()
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(_UnitActor, open_executor=open_executor),
                {"CPU": actors.cpus_each, "GPU": actors.gpus_each},
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=-1,
                max_concurrent_trials=actors.concurrency,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(folder),
                storage_filesystem=LocalFileSystem(),  # a path alone would be read as a URI
                verbose=0,
                stop=_Stopper(searcher, should_stop),
                # Of a class Tune would store a checkpoint at its end, in this folder, which other nodes do not have.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()
    if searcher.stopped_by is not None:
        raise searcher.stopped_by
    return coordinator.done


def _quiet() -> None:
    """No progress tables, no CSV and TensorBoard files for each unit."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    # Tune writes its own state, which is never read here, after every event once this many seconds have passed.
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "3600"
    # Ctrl-C belongs to the command line, which asks us to stop.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    logging.getLogger("ray.tune").setLevel(logging.ERROR)


class _OpaqueUnit:
    """A unit on its way through Tune, which copies configurations and writes them into names and logs."""

    def __init__(self, unit: WorkUnit) -> None:
        self.unit = unit

    def __repr__(self) -> str:
        return f"{self.unit.kind}-{self.unit.identity[:12]}"

    def __deepcopy__(self, memo: dict[int, Any]) -> "_OpaqueUnit":
        return self


class _UnitActor(tune.Trainable):
    """Does one unit after another; opened once, by the first."""

    def setup(self, config: dict[str, Any], open_executor: Callable[[], Execute]) -> None:
        self._unit: WorkUnit = config[UNIT].unit
        self._open = open_executor
        self._execute: Execute | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._unit = new_config[UNIT].unit
        return True

    def step(self) -> dict[str, Any]:
        # An error is a result, so that the actor stays warm and its text reaches the driver as it is. Tune prints what is
        # raised, also by `setup`, and in a cluster many may read that.
        try:
            if self._execute is None:
                self._execute = self._open()
            summary = self._execute(self._unit)
        except Exception as error:
            return {DONE: True, ERROR: Cause.of(error), DETAIL: traceback.format_exc()}
        return {DONE: True, SUMMARY: json.dumps(summary)}


def _nothing() -> None:
    """What Tune's own state holds of searcher and stopper; it is never restored from."""


class _Searcher(Searcher):
    """Tune's view of the coordinator."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        # A Tuner pickles itself when it is made, and the coordinator's arms are generators, which cannot be.
        return _nothing, ()

    def __init__(self, coordinator: Coordinator[Any], on_finished: Callable[[WorkUnit], None]) -> None:
        super().__init__(metric=TRAINING_ITERATION, mode="max")
        self._coordinator, self._on_finished = coordinator, on_finished
        self._running: dict[str, WorkUnit] = {}
        self.stopped_by: BaseException | None = None

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next unit; None while all that is left waits for running ones."""
        if self.stopped_by is not None or self._coordinator.done:
            return Searcher.FINISHED
        unit = self._coordinator.next()
        if unit is None:
            return None
        self._running[trial_id] = unit
        return {UNIT: _OpaqueUnit(unit)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A unit ended, or its actor died."""
        unit = self._running.pop(trial_id, None)
        if unit is None:
            return
        try:
            if error or result is None:
                self._coordinator.fail(unit.identity, None)
            elif ERROR in result:
                log.debug("%s %s failed: %s", unit.kind, unit.identity[:12], result[DETAIL])
                self._coordinator.fail(unit.identity, result[ERROR])
            else:
                self._coordinator.finish(unit.identity, json.loads(result[SUMMARY]))
                self._on_finished(unit)
        except BaseException as stop:  # raised again by `run_units`: Tune would only log it
            self.stopped_by = stop

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store has it all."""


class _Stopper(tune.Stopper):
    """Ends everything at once when a unit failed for good or a stop was asked for."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _nothing, ()

    def __init__(self, searcher: _Searcher, should_stop: Callable[[], bool]) -> None:
        self._searcher, self._should_stop = searcher, should_stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
        """Units say themselves when they are done."""
        return False

    def stop_all(self) -> bool:
        """Asked after every event."""
        return self._searcher.stopped_by is not None or self._should_stop()
