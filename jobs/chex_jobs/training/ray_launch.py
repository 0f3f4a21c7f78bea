"""`launch`: a run on several workers, through Ray Train.

Ray Train starts the workers, joins them to a process group and starts them again when one dies (`FailureConfig`); when the
controller that does so dies itself, a new one is started here. What they go on from are our own checkpoints, whose commit does not depend on Ray: with `ray.train.report` a run that was killed 10 ms after
reporting step 3 went on from step 1.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chex_jobs.artifacts.disk import temporary_folder
from chex_jobs.handover.failures import Cause
from chex_jobs.training.errors import TrainingError, UnexpectedInWorker, WorkersFailed
from chex_jobs.training.mailbox import Mailbox, WorkerMail
from chex_jobs.training.progress import Progress
from chex_jobs.training.training_run import TrainingRun

if TYPE_CHECKING:
    from chex_jobs.training.checkpoints import CheckpointStore
    from chex_jobs.training.train import TrainingOutcome

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
SETTINGS = {
    # How often the controller looks after its workers. 2 s by default, which every start and end of a run waits for.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
}


def launch(
    run: TrainingRun,
    *,
    num_workers: int,
    checkpoints: "CheckpointStore",
    use_gpu: bool = False,
    cpus_per_worker: float = 1.0,
    max_failures: int = 3,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> "TrainingOutcome":
    """Train `run` on `num_workers` workers of the Ray that this process is connected to.

    Args:
        run: what to train.
        num_workers: see `choose_num_workers`.
        checkpoints: where the state is stored; also how the weights come back.
        use_gpu: one GPU for each worker.
        cpus_per_worker: cores reserved for each, and threads that torch uses in it.
        max_failures: how often the workers may be started again after one died.
        on_progress: called in this thread, at most about once a second.
        should_stop: asked in this thread twice a second; True stops at the next step, with a checkpoint.

    Raises:
        TrainingError: as `train`; `WorkersFailed` when workers died more often than they may.
    """
    import ray

    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # A mailbox that dies comes back empty: the next report fills it, the next exchange says again whether to stop.
    mailbox: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Mailbox).remote()
    try:
        others = _placement_groups()
        for failures_left in range(max_failures, -1, -1):
            with temporary_folder("chex-train-") as folder:
                trainer = _trainer(
                    run, checkpoints, mailbox, num_workers, use_gpu, cpus_per_worker, failures_left, folder
                )
                fit = _Fit(trainer)
                while not fit.wait(POLL_SECONDS):
                    _exchange(mailbox, on_progress, should_stop())
                _exchange(mailbox, on_progress, stop=False)
            if not (fit.lost_its_controller() and failures_left):
                break
            log.warning("the controller of the workers died; starting it again from the last checkpoint")
            _remove_placement_groups(_placement_groups() - others)
        return _with_weights(fit.outcome(), checkpoints)
    finally:
        ray.kill(mailbox)


def _placement_groups() -> set[str]:
    """Identifiers of what reserves cores in this cluster."""
    from ray.util import placement_group_table

    return {
        identifier for identifier, group in placement_group_table().items() if group["state"] != "REMOVED"
    }


def _remove_placement_groups(identifiers: set[str]) -> None:
    """Give back what a dead controller had reserved.

    Trap: a group outlives its creator while the driver lives, and Ray Train's own cleaner asks the dashboard, which a run on
    one machine does without; the next controller would wait for these cores for ever.
    """
    import ray
    from ray.util import remove_placement_group
    from ray.util.placement_group import PlacementGroup

    for identifier in identifiers:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(identifier))))


def _trainer(
    run: TrainingRun,
    checkpoints: "CheckpointStore",
    mailbox: Any,
    num_workers: int,
    use_gpu: bool,
    cpus_per_worker: float,
    max_failures: int,
    folder: Path,
) -> Any:
    from pyarrow.fs import LocalFileSystem
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    return TorchTrainer(
        _work,
        train_loop_config={"run": run, "checkpoints": checkpoints, "mailbox": mailbox},
        scaling_config=ScalingConfig(
            num_workers=num_workers,
            use_gpu=use_gpu,
            resources_per_worker=_resources(use_gpu, cpus_per_worker),
        ),
        run_config=RunConfig(
            name=f"run-{time.time_ns()}",
            storage_path=str(folder),
            storage_filesystem=LocalFileSystem(),  # a path alone would be read as a URI
            failure_config=FailureConfig(max_failures=max_failures),
            worker_runtime_env={"env_vars": _environment(use_gpu, cpus_per_worker)},
        ),
    )


def _resources(use_gpu: bool, cpus_per_worker: float) -> dict[str, float]:
    return {"CPU": cpus_per_worker, **({"GPU": 1.0} if use_gpu else {})}


def _environment(use_gpu: bool, cpus_per_worker: float) -> dict[str, str]:
    """Variables that torch and DeepSpeed read when they are first imported, so they are set before the worker starts."""
    threads = str(max(1, int(cpus_per_worker)))
    return {"OMP_NUM_THREADS": threads} if use_gpu else {"OMP_NUM_THREADS": threads, "DS_ACCELERATOR": "cpu"}


def _work(config: dict[str, Any]) -> "TrainingOutcome | TrainingError":
    """One worker. Errors that trying again cannot mend are returned, not raised: Ray would start the workers anew."""
    # Imported here: the controller, on a node without accelerator, unpickles this function's module.
    from chex_jobs.training.train import train

    mail = WorkerMail(config["mailbox"])
    try:
        return train(
            config["run"],
            checkpoints=config["checkpoints"],
            on_progress=mail.put,
            should_stop=mail.should_stop,
        ).without_weights()
    except TrainingError as error:
        return error
    except Exception as error:
        raise UnexpectedInWorker.of(error) from None


class _Fit:
    """`trainer.fit()` in a thread of its own: in the main thread it would take Ctrl-C over from the command line."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ray-train", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within `seconds`."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def outcome(self) -> "TrainingOutcome":
        """What worker 0 returned. Raises what it returned or died of."""
        if self._error is not None:
            raise _workers_failed(self._error) from self._error
        returned = self._result.return_value
        if isinstance(returned, TrainingError):
            raise returned
        return returned

    def lost_its_controller(self) -> bool:
        """Whether the actor died that looks after the workers. Ray Train 2.60 never starts that one again."""
        from ray.exceptions import RayActorError

        return isinstance(self._error, RayActorError)

    def _run(self) -> None:
        try:
            self._result = self._trainer.fit()
        except BaseException as error:
            self._error = error


def _exchange(mailbox: Any, on_progress: Callable[[Progress], None], stop: bool) -> None:
    import ray

    progress: Any = ray.get(mailbox.take.remote(stop))
    if progress is not None:
        on_progress(progress)


def _workers_failed(error: BaseException) -> WorkersFailed:
    """With the first worker's own error in one line; Ray wraps it in a report of tracebacks."""
    failures = getattr(error, "worker_failures", None)
    inner = next(iter(failures.values())) if failures else error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    inner = getattr(inner, "_base_exc", inner)  # Ray's UserExceptionWithTraceback
    words = "the workers failed and were not started again"
    if not isinstance(inner, UnexpectedInWorker):
        return WorkersFailed(words, Cause(type(inner).__name__, _last_line(str(inner))))
    failed = WorkersFailed(words, Cause(inner.kind, _last_line(inner.text)))
    failed.add_note(f"In the worker:\n{inner.whole}")
    return failed


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"


def _with_weights(outcome: "TrainingOutcome", checkpoints: "CheckpointStore") -> "TrainingOutcome":
    from chex_jobs.training.weight_files import split_by_role, weights_of_checkpoint

    last = checkpoints.latest()
    if last is None or last.step != outcome.step:
        found = "none" if last is None else f"step {last.step}"
        raise WorkersFailed(
            f"training ended at step {outcome.step}, but the newest sound checkpoint is {found}"
        )
    return replace(outcome, weights=split_by_role(weights_of_checkpoint(last)))
