"""When an attempt is over: what still holds machines, whom a driver can be asked to stop, and how long that may take. Pure."""

from collections.abc import Iterable

from chex_api.status import StageStatus
from chex_operator.rules.observed import Notes, Observed, Run
from chex_operator.rules.outcome import has_ended
from chex_operator.rules.timestamps import seconds_of

STOP_SECONDS = 180.0
"""For a checkpoint. An attempt that takes longer goes on from the one before."""
GONE_SECONDS = 300.0
"""A Pod that is still there so long after it was deleted sits on a lost node; its writes are fenced by its attempt's folder."""
WITHOUT_DRIVER = ("", "Initializing", "Suspended", "Suspending", "Waiting")


def is_live(run: Run) -> bool:
    """Whether it may still use machines."""
    return not has_ended(run.state)


def has_driver(run: Run, notes: Notes | None) -> bool:
    """Whether there is a driver that can be asked to stop with a checkpoint."""
    return notes is not None and not run.is_preflight and run.state.deployment_status not in WITHOUT_DRIVER


def is_overdue(notes: Notes, now: float) -> bool:
    """Whether the driver was asked to stop and has had its time."""
    return notes.stop_since is not None and now - notes.stop_since >= STOP_SECONDS


def holds_machines(observed: Observed, names: Iterable[str], now: float) -> bool:
    """Whether a run or a Pod of these attempts may still use machines."""
    for name in names:
        run = observed.runs.get(name)
        if run is not None and is_live(run):
            return True
        for pod in observed.pods.get(name, ()):
            given_up = pod.deleting_since is not None and now - pod.deleting_since > GONE_SECONDS
            if pod.alive and not given_up:
                return True
    return False


def outlives_its_end(observed: Observed, run: Run, stage: StageStatus, now: float) -> bool:
    """Whether Pods of an attempt are still there long after its run has ended, or after the next one was due.

    KubeRay removes a cluster when its job has ended; that it forgets one has happened (kuberay#3860, kuberay#4914).
    """
    since = run.ended_at or seconds_of(stage.not_before)
    late = since is not None and now > since + GONE_SECONDS
    return late and holds_machines(observed, [run.name], now)
